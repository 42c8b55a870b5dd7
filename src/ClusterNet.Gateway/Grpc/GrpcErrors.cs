using System.Globalization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Inference;
using Grpc.Core;

namespace ClusterNet.Gateway.Grpc;

/// <summary>Failures as gRPC has them: a status, and the pause before a retry as <c>grpc-retry-pushback-ms</c> and <c>retry-after</c>.</summary>
internal static class GrpcErrors
{
    /// <summary>The status that stands for a kind of failure.</summary>
    public static StatusCode StatusOf(ServingProtocol.FailureKind kind) => kind switch
    {
        ServingProtocol.FailureKind.InvalidInput => StatusCode.InvalidArgument,
        ServingProtocol.FailureKind.UnknownModel => StatusCode.NotFound,
        ServingProtocol.FailureKind.Overloaded => StatusCode.ResourceExhausted,
        ServingProtocol.FailureKind.DeadlineExceeded => StatusCode.DeadlineExceeded,
        ServingProtocol.FailureKind.Unavailable or ServingProtocol.FailureKind.LoadFailed => StatusCode.Unavailable,
        _ => StatusCode.Internal,
    };

    /// <summary>A failure on its way to the caller.</summary>
    public static RpcException Of(PredictionException failure, string message)
    {
        var trailers = new Metadata();
        if (failure.RetryAfter is { } retryAfter)
        {
            trailers.Add("grpc-retry-pushback-ms", ((long)Math.Ceiling(retryAfter.TotalMilliseconds)).ToString(CultureInfo.InvariantCulture));
            trailers.Add("retry-after", RestErrors.SecondsOf(retryAfter).ToString(CultureInfo.InvariantCulture));
        }
        return new RpcException(new Status(StatusOf(failure.Kind), message), trailers);
    }
}
