using static TorchSharp.torch;

namespace ClusterNet.Learning.Inference;

/// <summary>Modules that are computed in one go.</summary>
internal interface IInferenceRun : IDisposable
{
    /// <summary>For one sample; 0 as long as its size is not known.</summary>
    long Multiplications { get; }

    /// <summary>Takes what is called next; false where it is nothing for this run.</summary>
    bool TryAdd(nn.Module<Tensor, Tensor> module);

    /// <summary>Computes it. What it returns belongs to the dispose scope.</summary>
    Tensor Call(Tensor input);
}
