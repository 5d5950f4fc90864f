namespace MetaStore.Raft;

/// <summary>Placeholder until the implementation lands.</summary>
public sealed class RaftNode { 
    /// <summary>x</summary>
    public void Advance(WriteReceipt r) { } 
    /// <summary>x</summary>
    public void AdvanceApplied(LogIndex i) { } }
