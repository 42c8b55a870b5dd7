using System.Runtime.InteropServices;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Plans;
using ClusterNet.Learning.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>
/// Draws the initial weights of dense layers as an <see cref="InitialisationSpec"/> says, by the rules of torch.nn.init and a generator of our own: what libtorch draws has other last bits, or is another draw, on a processor with other
/// instructions. What has no axes of inputs and outputs follows the rules of <see cref="Initialiser"/>.
/// </summary>
/// <param name="seed">of the model's weights</param>
internal sealed class OwnInitialiser(ulong seed)
{
    private readonly SplitMix64 _random = new(seed);

    /// <summary>Draws them.</summary>
    /// <param name="spec">the rule; by default weights and biases are uniform within 1 / sqrt(inputs), as torch's dense layers have them (He et al. 2015 with a slope of sqrt 5)</param>
    /// <param name="module">of dense layers and normalisation</param>
    public void Apply(InitialisationSpec spec, nn.Module module)
    {
        using var noGradient = no_grad();
        foreach (var layer in module.modules().OfType<Linear>())
        {
            var (inputs, both) = ((double)layer.in_features, (double)(layer.in_features + layer.out_features));
            Action<Tensor> draw = spec.Kind switch
            {
                InitialisationKind.Default => weight => Uniform(weight, 1 / Math.Sqrt(inputs)),
                InitialisationKind.Normal => weight => Normal(weight, spec.Gain),
                InitialisationKind.XavierUniform => weight => Uniform(weight, spec.Gain * Math.Sqrt(6 / both)),
                InitialisationKind.XavierNormal => weight => Normal(weight, spec.Gain * Math.Sqrt(2 / both)),
                InitialisationKind.KaimingUniform => weight => Uniform(weight, Math.Sqrt(6 / inputs)),
                InitialisationKind.KaimingNormal => weight => Normal(weight, Math.Sqrt(2 / inputs)),
                _ => throw new InvalidOperationException($"initialisation {spec.Kind} has no rule"),
            };
            draw(layer.weight!);
            if (spec.Kind is InitialisationKind.Default or InitialisationKind.Normal)
                draw(layer.bias!);
            else
                nn.init.zeros_(layer.bias!);
        }
        if (spec.Kind is InitialisationKind.Default)
            return;
        foreach (var norm in module.modules().OfType<LayerNorm>())
            Normal(norm.bias!, spec.Kind == InitialisationKind.Normal ? spec.Gain : 0);
    }

    /// <summary>Uniform between -bound and bound.</summary>
    private void Uniform(Tensor tensor, double bound)
    {
        foreach (ref var value in Values(tensor))
            value = (float)(((2 * _random.NextDouble()) - 1) * bound);
    }

    /// <summary>Normal with mean 0 (Marsaglia's polar method, 1964).</summary>
    private void Normal(Tensor tensor, double deviation)
    {
        foreach (ref var value in Values(tensor))
        {
            double x, square;
            do
            {
                (x, var y) = ((2 * _random.NextDouble()) - 1, (2 * _random.NextDouble()) - 1);
                square = (x * x) + (y * y);
            }
            while (square is >= 1 or 0);
            value = (float)(deviation * x * Math.Sqrt(-2 * Probabilities.Log(square) / square));
        }
    }

    private static Span<float> Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);
}
