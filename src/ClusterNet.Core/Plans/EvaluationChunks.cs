namespace ClusterNet.Core.Plans;

/// <summary>Evaluation goes by chunks at fixed positions, so that no forward pass, and with it no bit of a metric, depends on how a part is dealt to workers.</summary>
public static class EvaluationChunks
{
    /// <summary>Samples of a chunk; the last may have fewer.</summary>
    public const int Length = 256;

    /// <summary>Chunks of a part.</summary>
    public static int Count(int samples) => (samples + Length - 1) / Length;

    /// <summary>The samples of one chunk.</summary>
    public static (int First, int Count) Samples(int samples, int chunk) => (chunk * Length, Math.Min(Length, samples - chunk * Length));
}
