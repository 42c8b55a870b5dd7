namespace ClusterNet.Client;

/// <summary>Asks the models of a cluster for predictions. Safe for any number of callers at a time; one for the whole program is enough.</summary>
public interface IClusterNetClient : IAsyncDisposable
{
    /// <summary>A prediction for one or more samples. What fails for a moment is tried again as long as there is time.</summary>
    /// <param name="model">its name</param>
    /// <param name="samples">what to predict for</param>
    /// <param name="options">version, deadline, priority; the defaults where null</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="PredictionFailedException">there is no prediction, and why</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancel"/> fired</exception>
    Task<Prediction> PredictAsync(string model, Samples samples, PredictOptions? options = null, CancellationToken cancel = default);
}

/// <summary>What a request may say beside its samples.</summary>
public sealed record PredictOptions
{
    /// <summary>0 is the most urgent.</summary>
    public const int HighestPriority = 0;

    /// <summary>Where nothing is said.</summary>
    public const int DefaultPriority = 5;

    /// <summary>The least urgent.</summary>
    public const int LowestPriority = 9;

    /// <summary>A version's number or a label; null where the model's traffic decides.</summary>
    public string? Version { get; init; }

    /// <summary>How long all tries together may take; <see cref="ClusterNetClientOptions.Timeout"/> where null.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary><see cref="HighestPriority"/> to <see cref="LowestPriority"/>.</summary>
    public int Priority { get; init; } = DefaultPriority;

    /// <summary>Requests with the same key go to the same version, while the traffic stays as it is; by chance where null.</summary>
    public string? Key { get; init; }
}

/// <summary>What a version says of the samples of a request.</summary>
/// <param name="Model">its name</param>
/// <param name="Version">its number</param>
/// <param name="Classes">labels of the classes; empty where it predicts a number</param>
/// <param name="Outputs">row-major [samples, classes]: probabilities; [samples] where it predicts a number. The bits that the model computed</param>
/// <param name="WeightsSha256">of the version's weights, hexadecimal</param>
public sealed record Prediction(string Model, int Version, IReadOnlyList<string> Classes, IReadOnlyList<float> Outputs, string WeightsSha256)
{
    /// <summary>Number of samples.</summary>
    public int Count => Outputs.Count / Width;

    private int Width => Math.Max(1, Classes.Count);

    /// <summary>The most probable class of a sample; the first of equals.</summary>
    /// <exception cref="InvalidOperationException">the model predicts a number</exception>
    public string ClassOf(int sample)
    {
        if (Classes.Count == 0)
            throw new InvalidOperationException($"{Model}:{Version} predicts a number, not a class: ask for its value");
        var probabilities = ProbabilitiesOf(sample);
        var best = 0;
        for (var i = 1; i < probabilities.Count; i++)
        {
            if (probabilities[i] > probabilities[best])
                best = i;
        }
        return Classes[best];
    }

    /// <summary>The probability of each class, in their order.</summary>
    public IReadOnlyList<float> ProbabilitiesOf(int sample) => [.. Enumerable.Range(sample * Width, Width).Select(i => Outputs[i])];

    /// <summary>The number that is predicted for a sample.</summary>
    /// <exception cref="InvalidOperationException">the model predicts classes</exception>
    public float ValueOf(int sample) => Classes.Count == 0 ? Outputs[sample] : throw new InvalidOperationException($"{Model}:{Version} predicts a class, not a number: ask for its class");
}

/// <summary>Why there is no prediction.</summary>
public enum FailureKind
{
    /// <summary>The request can't be answered as it is: samples that do not fit the model, or a setting out of bounds.</summary>
    InvalidInput,

    /// <summary>There is no such model or version.</summary>
    UnknownModel,

    /// <summary>Too much waits already.</summary>
    Overloaded,

    /// <summary>Not within its time.</summary>
    DeadlineExceeded,

    /// <summary>Nobody could be reached who could answer.</summary>
    Unavailable,

    /// <summary>Who asks is not known, or may not ask for this.</summary>
    Refused,

    /// <summary>The computation failed.</summary>
    Failed,
}

/// <summary>There is no prediction.</summary>
/// <param name="kind">what went wrong</param>
/// <param name="message">where, what was found, what to do</param>
/// <param name="retryAfter">when the same request may succeed; null where nothing is known of that</param>
/// <param name="inner">the cause, if an exception was it</param>
public sealed class PredictionFailedException(FailureKind kind, string message, TimeSpan? retryAfter = null, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What went wrong.</summary>
    public FailureKind Kind { get; } = kind;

    /// <summary>When the same request may succeed; null where nothing is known of that.</summary>
    public TimeSpan? RetryAfter { get; } = retryAfter;

    /// <summary>Whether the same request may succeed later.</summary>
    public bool IsTransient => Kind is FailureKind.Overloaded or FailureKind.Unavailable;
}
