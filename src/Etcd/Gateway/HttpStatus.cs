using MetaStore.Etcd.Rpc;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace MetaStore.Etcd.Gateway;

/// <summary>The status of HTTP for a status of a call, as the gateway of etcd has it.</summary>
internal static class HttpStatus
{
    /// <summary>The number.</summary>
    public static int Of(StatusCode code) => code switch
    {
        StatusCode.Ok => StatusCodes.Status200OK,
        StatusCode.Canceled => StatusCodes.Status408RequestTimeout,
        StatusCode.InvalidArgument or StatusCode.OutOfRange => StatusCodes.Status400BadRequest,
        StatusCode.DeadlineExceeded => StatusCodes.Status504GatewayTimeout,
        StatusCode.NotFound => StatusCodes.Status404NotFound,
        StatusCode.AlreadyExists or StatusCode.Aborted => StatusCodes.Status409Conflict,
        StatusCode.PermissionDenied => StatusCodes.Status403Forbidden,
        StatusCode.Unauthenticated => StatusCodes.Status401Unauthorized,
        StatusCode.ResourceExhausted => StatusCodes.Status429TooManyRequests,
        StatusCode.FailedPrecondition => StatusCodes.Status412PreconditionFailed,
        StatusCode.Unimplemented => StatusCodes.Status501NotImplemented,
        StatusCode.Unavailable => StatusCodes.Status503ServiceUnavailable,
        _ => StatusCodes.Status500InternalServerError,
    };

    /// <summary>The words that go with it.</summary>
    public static string Text(StatusCode code) => ReasonPhrases.GetReasonPhrase(Of(code));
}
