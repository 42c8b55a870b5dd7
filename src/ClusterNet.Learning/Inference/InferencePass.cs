using ClusterNet.Learning.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Inference;

/// <summary>
/// A model's way from features to outputs where no gradient is asked for: module by module, but for the dense layers and the convolutions of a plain sequence, which kernels of our own compute in runs: they are quick with few samples
/// and give a sample the same bits in any company. Used by one thread at a time.
/// </summary>
internal sealed class InferencePass : IDisposable
{
    private readonly List<object> _steps = [];

    public InferencePass(TrainableModel model)
    {
        foreach (var module in Expand(model.Module).Where(module => module is not SeededDropout)) // that is for training
        {
            if ((_steps.LastOrDefault() as IInferenceRun)?.TryAdd(module) != true)
                _steps.Add((IInferenceRun?)DenseRun.TryBegin(model, module) ?? (object?)ConvolutionRun.TryBegin(model, module) ?? module);
        }
        var others = _steps.OfType<nn.Module>().ToArray();
        HasOwnSums = others.All(module => module is LayerNorm or GroupNorm || !module.parameters().Any());
        IsOwn = others.All(module => module is Flatten);
        HasConvolutions = model.Module.modules().Any(module => module is Convolution);
    }

    /// <summary>Whether no sum over weights is left to a library, so that even a lone sample has the bits of any batch.</summary>
    public bool HasOwnSums { get; }

    /// <summary>Whether nothing at all is left to a library: what comes of a sample can't depend on its company.</summary>
    public bool IsOwn { get; }

    /// <summary>Whether places of pictures or signals are convolved.</summary>
    public bool HasConvolutions { get; }

    /// <summary>Multiplications that kernels of our own take for one sample; those of convolutions once a sample has been computed.</summary>
    public long Multiplications => _steps.OfType<IInferenceRun>().Sum(run => run.Multiplications);

    /// <summary>Computes the outputs. In inference mode and within a dispose scope, which what lies in between is disposed of with.</summary>
    /// <param name="features">float32 [batch, input shape]</param>
    /// <returns>float32 [batch, outputs]</returns>
    public Tensor Call(Tensor features) => _steps.Aggregate(features, (value, step) => step is IInferenceRun run ? run.Call(value) : ((nn.Module<Tensor, Tensor>)step).call(value));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var run in _steps.OfType<IInferenceRun>())
            run.Dispose();
    }

    /// <summary>The modules that are called one after the other.</summary>
    private static IEnumerable<nn.Module<Tensor, Tensor>> Expand(nn.Module<Tensor, Tensor> module)
    {
        if (module is ConvolutionBlock { Activation: null } block)
            return block.Body;
        if (module.GetType() != typeof(Sequential) || !module.children().Any() || !module.children().All(child => child is nn.Module<Tensor, Tensor>))
            return [module];
        return module.children().Cast<nn.Module<Tensor, Tensor>>().SelectMany(Expand);
    }
}
