namespace ClusterNet.Gateway.Inference;

/// <summary>How the gateway speaks the Open Inference Protocol, and the bounds on what it reads.</summary>
public sealed record InferenceSettings
{
    /// <summary>Whether a model, by its name, is to be loaded before the gateway counts as ready.</summary>
    public Func<string, bool> IsRequired { get; init; } = _ => false;

    /// <summary>Whether the models that NVIDIA's <c>simple</c> examples ask for are there, and the server calls itself what they look for.</summary>
    public bool HasExamples { get; init; }

    /// <summary>Whether callers on this machine may have values read from, and written into, shared memory that they register.</summary>
    public bool HasSharedMemory { get; init; }

    /// <summary>What the server calls itself.</summary>
    public string ServerName => HasExamples ? "triton" : "clusternet";

    /// <summary>The most bytes of a request, before and after it is decompressed.</summary>
    public int MaxBodyBytes { get; init; } = 64 << 20;

    /// <summary>How deep JSON may nest.</summary>
    public int MaxDepth { get; init; } = 16;

    /// <summary>The most samples of one request.</summary>
    public int MaxSamples { get; init; } = 65536;

    /// <summary>The most tensors of one request, inputs and outputs each; as many inputs as a version has columns are taken in any case.</summary>
    public int MaxTensors { get; init; } = 4096;

    /// <summary>The longest wait that a request may ask for.</summary>
    public TimeSpan MaxTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Answers of fewer bytes are not compressed, whatever the caller accepts.</summary>
    public int CompressFromBytes { get; init; } = 1024;

    /// <summary>The most requests of one gRPC stream that are under way.</summary>
    public int MaxStreamed { get; init; } = 64;

    /// <summary>After how long what a version takes is looked up again, beside the requests.</summary>
    public TimeSpan RememberFor { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a check of readiness may take before it counts as failed.</summary>
    public TimeSpan CheckTimeout { get; init; } = TimeSpan.FromSeconds(2);
}
