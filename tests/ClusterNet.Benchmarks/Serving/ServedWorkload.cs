using ClusterNet.Benchmarks.Local;
using ClusterNet.Cluster.Serving;
using static TorchSharp.torch;

namespace ClusterNet.Benchmarks.Serving;

/// <summary>A model that is served, and the same layers as a program calls them that has TorchSharp alone.</summary>
/// <param name="Name">of the model</param>
/// <param name="Training">the job that makes it</param>
internal sealed record ServedWorkload(string Name, Workload Training)
{
    private static readonly float[][] _pictures = DrawPictures();

    /// <summary>The MLP with 669,706 parameters, and the CNN.</summary>
    public static IReadOnlyList<ServedWorkload> All { get; } =
        [.. Workload.All.Where(workload => workload.Name.EndsWith("-adam", StringComparison.Ordinal)).Select(workload => new ServedWorkload(workload.Name.Split('-')[0], workload))];

    /// <summary>What a sample is to the module: [1, side, side].</summary>
    public static IReadOnlyList<int> Shape { get; } = [1, SyntheticImages.Side, SyntheticImages.Side];

    /// <summary>A picture as the module sees it.</summary>
    public static float[] Picture(int number) => _pictures[number % _pictures.Length];

    /// <summary>A request of one picture.</summary>
    public PredictRequest Request(int number, TimeSpan? timeout = null) => new(Training.Name, new ModelInput.Prepared(Shape, Picture(number))) { Timeout = timeout };

    private static float[][] DrawPictures()
    {
        const int Count = 256;
        var pixels = SyntheticImages.Draw().Pixels;
        return [.. Enumerable.Range(0, Count).Select(picture => pixels.Skip(picture * SyntheticImages.Side * SyntheticImages.Side).Take(SyntheticImages.Side * SyntheticImages.Side).Select(pixel => pixel / 255f).ToArray())];
    }
}

/// <summary>What serving is held against: the module, called once for each request by whoever has it.</summary>
internal sealed class DirectModel : IDisposable
{
    private readonly nn.Module<Tensor, Tensor> _module;

    public DirectModel(ServedWorkload workload)
    {
        _module = workload.Training.PlainModel();
        _module.eval();
    }

    /// <summary>Values [784] in, probabilities [10] out.</summary>
    public float[] Predict(float[] values)
    {
        using var scope = NewDisposeScope();
        using var inference = inference_mode();
        return [.. nn.functional.softmax(_module.call(tensor(values, [1, 1, SyntheticImages.Side, SyntheticImages.Side])), 1).data<float>()];
    }

    public void Dispose() => _module.Dispose();
}
