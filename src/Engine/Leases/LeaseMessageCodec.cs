namespace MetaStore.Engine.Leases;

/// <summary>What is asked of the leader about a lease.</summary>
internal enum LeaseQuestion : byte
{
    /// <summary>Renew it.</summary>
    KeepAlive = 1,

    /// <summary>How long has it left?</summary>
    TimeToLive = 2,
}

/// <summary>What the leader knows of a lease.</summary>
/// <param name="GrantedMilliseconds">What it was granted; 0: there is no such lease.</param>
/// <param name="RemainingMilliseconds">What it has left.</param>
internal readonly record struct LeaseFacts(long GrantedMilliseconds, long RemainingMilliseconds)
{
    /// <summary>There is no such lease.</summary>
    public static readonly LeaseFacts None;

    public bool Exists => GrantedMilliseconds > 0;
}

/// <summary>
/// Questions about leases on their way to the leader, many at a time, and its answers. Part of the wire format: never renumber. Little-endian.
/// <code>
/// ask   := batch:u64 questions:u32 (question:u8 (1 keep alive, 2 time to live) lease:i64)*
/// reply := batch:u64 index:u64 answers:u32 (granted:i64 remaining:i64)*            milliseconds, in the order of the questions; granted 0: there is no such lease
/// </code>
/// </summary>
internal static class LeaseMessageCodec
{
    private const int QuestionBytes = 1 + sizeof(long);
    private const int FactsBytes = 2 * sizeof(long);

    public static byte[] EncodeAsk(ulong batch, IReadOnlyList<(LeaseQuestion Question, long Id)> questions)
    {
        var bytes = new byte[sizeof(ulong) + sizeof(uint) + (questions.Count * QuestionBytes)];
        var writer = new LittleEndianWriter(bytes);
        writer.UInt64(batch);
        writer.UInt32((uint)questions.Count);
        foreach ((LeaseQuestion question, long id) in questions)
        {
            writer.Byte((byte)question);
            writer.Int64(id);
        }

        return bytes;
    }

    /// <exception cref="RequestFormatException">The bytes are no questions.</exception>
    public static (ulong Batch, (LeaseQuestion Question, long Id)[] Questions) DecodeAsk(ReadOnlyMemory<byte> bytes)
    {
        var reader = new LittleEndianReader(bytes);
        ulong batch = reader.UInt64();
        var questions = new (LeaseQuestion Question, long Id)[reader.Count(QuestionBytes)];
        for (int i = 0; i < questions.Length; i++)
        {
            byte question = reader.Byte();
            questions[i] = question is (byte)LeaseQuestion.KeepAlive or (byte)LeaseQuestion.TimeToLive
                ? ((LeaseQuestion)question, reader.Int64())
                : throw new RequestFormatException($"question {question} about a lease does not exist; 1 and 2 do");
        }

        return (batch, questions);
    }

    public static byte[] EncodeReply(ulong batch, ulong index, IReadOnlyList<LeaseFacts> answers)
    {
        var bytes = new byte[(2 * sizeof(ulong)) + sizeof(uint) + (answers.Count * FactsBytes)];
        var writer = new LittleEndianWriter(bytes);
        writer.UInt64(batch);
        writer.UInt64(index);
        writer.UInt32((uint)answers.Count);
        foreach (LeaseFacts facts in answers)
        {
            writer.Int64(facts.GrantedMilliseconds);
            writer.Int64(facts.RemainingMilliseconds);
        }

        return bytes;
    }

    /// <exception cref="RequestFormatException">The bytes are no answers.</exception>
    public static (ulong Batch, ulong Index, LeaseFacts[] Answers) DecodeReply(ReadOnlyMemory<byte> bytes)
    {
        var reader = new LittleEndianReader(bytes);
        ulong batch = reader.UInt64();
        ulong index = reader.UInt64();
        var answers = new LeaseFacts[reader.Count(FactsBytes)];
        for (int i = 0; i < answers.Length; i++)
        {
            answers[i] = new LeaseFacts(reader.Int64(), reader.Int64());
        }

        return (batch, index, answers);
    }
}
