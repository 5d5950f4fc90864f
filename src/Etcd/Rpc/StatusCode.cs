namespace MetaStore.Etcd.Rpc;

/// <summary>How a call ended: the canonical codes of gRPC.</summary>
internal enum StatusCode
{
    /// <summary>Well.</summary>
    Ok = 0,

    /// <summary>By its caller.</summary>
    Canceled = 1,

    /// <summary>With an error that has no code of its own.</summary>
    Unknown = 2,

    /// <summary>The request is wrong, whatever the state of the store.</summary>
    InvalidArgument = 3,

    /// <summary>Its time was up.</summary>
    DeadlineExceeded = 4,

    /// <summary>What was asked for does not exist.</summary>
    NotFound = 5,

    /// <summary>What was to be made exists.</summary>
    AlreadyExists = 6,

    /// <summary>The caller is known, and may not.</summary>
    PermissionDenied = 7,

    /// <summary>Something is used up, or a limit was reached.</summary>
    ResourceExhausted = 8,

    /// <summary>The state of the store does not allow it.</summary>
    FailedPrecondition = 9,

    /// <summary>Given up because of a conflict with others.</summary>
    Aborted = 10,

    /// <summary>Outside of what there is, such as a compacted revision.</summary>
    OutOfRange = 11,

    /// <summary>No such method, or nothing that is supported.</summary>
    Unimplemented = 12,

    /// <summary>The server is at fault.</summary>
    Internal = 13,

    /// <summary>Not now; asking again may help.</summary>
    Unavailable = 14,

    /// <summary>Data is damaged or lost.</summary>
    DataLoss = 15,

    /// <summary>The caller is not known.</summary>
    Unauthenticated = 16,
}
