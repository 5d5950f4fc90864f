namespace MetaStore.Raft;

/// <summary>Bytes that are not a message or membership of this version; the text says what is wrong with them.</summary>
public sealed class MessageFormatException(string message, Exception? inner = null) : Exception(message, inner);
