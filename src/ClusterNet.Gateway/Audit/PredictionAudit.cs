using System.Buffers;
using System.Security.Cryptography;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Access;
using ClusterNet.Gateway.Inference;

namespace ClusterNet.Gateway.Audit;

/// <summary>Writes each request for a prediction to the audit log before its answer goes out.</summary>
/// <param name="log">the chain</param>
/// <param name="storesInput">whether inputs themselves are kept</param>
/// <param name="time">the clock</param>
internal sealed class PredictionAudit(AuditLog log, bool storesInput, TimeProvider time) : IPredictionObserver
{
    /// <summary>Longer outputs are kept as a hash alone.</summary>
    private const int MaxOutputBytes = 64 * 1024;

    /// <summary>With fewer requests under way a commit for each is what they can have.</summary>
    private const int EnoughOthers = 4;

    private static readonly TimeSpan LittleTime = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    /// <summary>For requests that say nothing themselves.</summary>
    private static readonly TimeSpan UsualPatience = TimeSpan.FromSeconds(30);

    /// <summary>How much later than it is due an answer may be, as in the router.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(100);

    [ThreadStatic]
    private static ArrayBufferWriter<byte>? _scratch;

    public async ValueTask ObserveAsync(ObservedPrediction observed, CancellationToken cancel)
    {
        try
        {
            // not given up when the caller goes away: the model has been asked
            var written = log.AppendAsync(EntryOf(observed), MayWait(observed));
            await (written.IsCompleted ? written : written.WaitAsync(LeftOf(observed), time, CancellationToken.None)).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new PredictionException(ServingProtocol.FailureKind.DeadlineExceeded, [new Fault(observed.Request.Model, "the audit log did not take the answer's record within the request's time, and without it nothing is answered: the store is slow or stands still; try again later")], RetryAfter);
        }
        catch (ClusterException error)
        {
            throw new PredictionException(ServingProtocol.FailureKind.Unavailable, [new Fault("", error.Message)], RetryAfter);
        }
    }

    private TimeSpan LeftOf(ObservedPrediction observed)
    {
        var left = observed.Received + (observed.Request.Timeout ?? UsualPatience) - time.GetUtcNow() + Grace;
        return left > Grace ? left : Grace;
    }

    /// <summary>Whether records of others will be there soon, and a millisecond is little to this one.</summary>
    private static bool MayWait(ObservedPrediction observed) => observed.Others >= EnoughOthers && !(observed.Request.Timeout < LittleTime);

    private AuditEntry EntryOf(ObservedPrediction observed)
    {
        var (input, inputData) = Digest(storesInput ? int.MaxValue : 0, writer => InputBytes.Write(observed.Request.Input, writer));
        var entry = new AuditEntry(
            observed.Received,
            AuditRecord.Clean(Scopes.NameOf(observed.User)),
            AuditEntry.Predict,
            AuditRecord.Clean(observed.Request.Model),
            observed.Failure is { } failure ? Word(failure.Kind) : "answered")
        {
            Client = observed.Client is null ? null : AuditRecord.Clean(observed.Client),
            Request = observed.RequestId is null ? null : AuditRecord.Clean(observed.RequestId),
            Trace = observed.TraceId is null ? null : AuditRecord.Clean(observed.TraceId),
            Input = input,
            InputData = inputData,
        };
        if (observed.Answer is not { } answer)
            return entry;
        var (output, outputData) = Digest(MaxOutputBytes, writer => InputBytes.Floats(writer, answer.Prediction.Outputs.Span));
        return entry with { Version = answer.Prediction.Version.Version, Weights = answer.WeightsSha256, Output = output, OutputData = outputData };
    }

    private static (ReadOnlyMemory<byte> Hash, ReadOnlyMemory<byte>? Bytes) Digest(int most, Action<IBufferWriter<byte>> write)
    {
        const int Kept = 1 << 20;
        var writer = _scratch ??= new ArrayBufferWriter<byte>(4096);
        writer.ResetWrittenCount();
        write(writer);
        var written = writer.WrittenSpan;
        ReadOnlyMemory<byte>? bytes = null;
        if (written.Length <= most)
            bytes = written.ToArray();
        var hash = SHA256.HashData(written);
        // what one large request needed is not held for ever
        if (writer.Capacity > Kept)
            _scratch = null;
        return (hash, bytes);
    }

    private static string Word(ServingProtocol.FailureKind kind) => string.Concat(kind.ToString().Select((c, i) => char.IsUpper(c) && i > 0 ? $"-{char.ToLowerInvariant(c)}" : $"{char.ToLowerInvariant(c)}"));
}
