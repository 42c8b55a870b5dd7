using System.Security.Claims;
using ClusterNet.Cluster.Serving;

namespace ClusterNet.Gateway.Inference;

/// <summary>
/// Is told of every request for a prediction that could be read, before its answer goes out. The gateway waits for it: where it throws, the caller gets an error in place of the answer, so an answer that
/// can't be audited isn't given. A <see cref="PredictionException"/> that it throws is answered as such, anything else as an internal error.
/// </summary>
public interface IPredictionObserver
{
    /// <summary>Takes note of one request and what is about to be answered.</summary>
    /// <param name="observed">who asked what, and the answer; its tensors are valid until the returned task is done</param>
    /// <param name="cancel">the caller went away, or the host ends</param>
    ValueTask ObserveAsync(ObservedPrediction observed, CancellationToken cancel);
}

/// <summary>One request for a prediction and its outcome.</summary>
/// <param name="User">who asked; without identities where nobody is asked for a name</param>
/// <param name="Client">the address that it came from; null where there is none</param>
/// <param name="Protocol"><see cref="Http"/> or <see cref="Grpc"/></param>
/// <param name="RequestId">the caller's own id of the request; null where it gave none</param>
/// <param name="TraceId">W3C trace id, 32 hexadecimal digits; null where the request is not traced</param>
/// <param name="Received">when</param>
/// <param name="Request">what was asked</param>
/// <param name="Answer">what is about to be answered; null where there is a failure</param>
/// <param name="Failure">why there is no prediction; null where there is one</param>
public sealed record ObservedPrediction(
    ClaimsPrincipal User,
    string? Client,
    string Protocol,
    string? RequestId,
    string? TraceId,
    DateTimeOffset Received,
    PredictRequest Request,
    ServedPrediction? Answer,
    PredictionException? Failure)
{
    /// <summary>How many other requests are being computed now: their records come soon.</summary>
    public int Others { get; init; }

    /// <summary>It came as REST.</summary>
    public const string Http = "http";

    /// <summary>It came as gRPC.</summary>
    public const string Grpc = "grpc";
}
