namespace ClusterNet.Client;

/// <summary>A way to the cluster: one try of a request.</summary>
internal interface ITransport : IAsyncDisposable
{
    /// <summary>For telemetry.</summary>
    string Name { get; }

    /// <exception cref="PredictionFailedException">there is no prediction</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancel"/> fired</exception>
    Task<Prediction> PredictAsync(string model, Samples samples, PredictOptions options, TimeSpan left, CancellationToken cancel);
}
