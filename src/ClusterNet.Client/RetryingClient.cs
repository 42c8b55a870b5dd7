using System.Diagnostics;

namespace ClusterNet.Client;

/// <summary>Tries a request until it is answered, can't be, or its time is over. A prediction changes nothing, so that it may be asked for twice.</summary>
internal sealed class RetryingClient(ClusterNetClientOptions options) : IClusterNetClient
{
    private static readonly TimeSpan _most = TimeSpan.FromDays(1);
    private readonly ITransport _transport = options.CreateTransport();

    /// <inheritdoc/>
    public async Task<Prediction> PredictAsync(string model, Samples samples, PredictOptions? request = null, CancellationToken cancel = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        ArgumentNullException.ThrowIfNull(samples);
        request ??= new PredictOptions();
        var timeout = request.Timeout ?? options.Timeout;
        Check(samples, request, timeout);
        using var activity = ClientTelemetry.Source.StartActivity("predict", ActivityKind.Client)?.SetTag("model", model);
        var started = options.Clock.GetTimestamp();
        var outcome = "cancelled";
        try
        {
            var prediction = await TryAsync(model, samples, request, started, timeout, cancel).ConfigureAwait(false);
            activity?.SetTag("version", prediction.Version);
            outcome = "answered";
            return prediction;
        }
        catch (PredictionFailedException failure)
        {
            outcome = failure.Kind.ToString();
            activity?.SetStatus(ActivityStatusCode.Error, outcome);
            throw;
        }
        finally
        {
            ClientTelemetry.Ended(model, _transport.Name, outcome, options.Clock.GetElapsedTime(started));
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _transport.DisposeAsync();

    private static void Check(Samples samples, PredictOptions request, TimeSpan timeout)
    {
        if (samples.Count == 0)
            throw new PredictionFailedException(FailureKind.InvalidInput, "samples: there is none; a request has at least one");
        if (timeout <= TimeSpan.Zero || timeout > _most)
            throw new PredictionFailedException(FailureKind.InvalidInput, $"timeout: {timeout} is not above 0 and at most {_most.TotalHours:0} h");
        if (request.Priority is < PredictOptions.HighestPriority or > PredictOptions.LowestPriority)
            throw new PredictionFailedException(FailureKind.InvalidInput, $"priority: {request.Priority} is not within {PredictOptions.HighestPriority} (the most urgent) to {PredictOptions.LowestPriority}");
    }

    private async Task<Prediction> TryAsync(string model, Samples samples, PredictOptions request, long started, TimeSpan timeout, CancellationToken cancel)
    {
        var pause = options.FirstPause;
        while (true)
        {
            cancel.ThrowIfCancellationRequested();
            try
            {
                return await _transport.PredictAsync(model, samples, request, timeout - options.Clock.GetElapsedTime(started), cancel).ConfigureAwait(false);
            }
            catch (PredictionFailedException failure) when (failure.IsTransient)
            {
                // between a half and the whole, so that those who were refused together do not come back together
                var wait = pause * (0.5 + (Random.Shared.NextDouble() / 2));
                if (failure.RetryAfter is { } told && told > wait)
                    wait = told;
                if (wait >= timeout - options.Clock.GetElapsedTime(started))
                    throw;
                ClientTelemetry.Retried(model, _transport.Name, failure.Kind);
                await Task.Delay(wait, options.Clock, cancel).ConfigureAwait(false);
                // a machine that sleeps late
                if (timeout <= options.Clock.GetElapsedTime(started))
                    throw;
                pause = pause * 2 > options.LongestPause ? options.LongestPause : pause * 2;
            }
        }
    }
}
