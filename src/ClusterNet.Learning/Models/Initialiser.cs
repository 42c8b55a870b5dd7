using ClusterNet.Core.Jobs;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>
/// Applies an <see cref="InitialisationSpec"/>, drawing from libtorch's default generator, which the caller has seeded and holds. The scales of normalisation layers (one axis, not called bias)
/// stay at one whatever the rule: drawn at random they would undo what the layer is for.
/// </summary>
internal static class Initialiser
{
    public static void Apply(InitialisationSpec spec, nn.Module module)
    {
        using var noGradient = no_grad();
        // TorchSharp 0.107 leaves these as the memory happened to be
        foreach (var norm in module.modules().OfType<TorchSharp.Modules.GroupNorm>().Where(norm => norm.weight is not null))
        {
            nn.init.ones_(norm.weight);
            nn.init.zeros_(norm.bias);
        }
        if (spec.Kind == InitialisationKind.Default)
            return;
        foreach (var (name, parameter) in module.named_parameters())
        {
            if (parameter.dim() >= 2)
                Weight(spec, parameter);
            else if (name[(name.LastIndexOf('.') + 1)..].Contains("bias", StringComparison.OrdinalIgnoreCase))
                _ = spec.Kind == InitialisationKind.Normal ? nn.init.normal_(parameter, 0, spec.Gain) : nn.init.zeros_(parameter);
        }
    }

    private static void Weight(InitialisationSpec spec, Tensor weight) => _ = spec.Kind switch
    {
        InitialisationKind.Normal => nn.init.normal_(weight, 0, spec.Gain),
        InitialisationKind.XavierUniform => nn.init.xavier_uniform_(weight, spec.Gain),
        // TorchSharp 0.107's xavier_normal_ draws from a uniform distribution
        InitialisationKind.XavierNormal => nn.init.normal_(weight, 0, spec.Gain * Math.Sqrt(2.0 / Fans(weight))),
        InitialisationKind.KaimingUniform => nn.init.kaiming_uniform_(weight, nonlinearity: nn.init.NonlinearityType.ReLU),
        InitialisationKind.KaimingNormal => nn.init.kaiming_normal_(weight, nonlinearity: nn.init.NonlinearityType.ReLU),
        _ => throw new InvalidOperationException($"initialisation {spec.Kind} has no rule"),
    };

    /// <summary>Values that go into an output, and values that an input goes into.</summary>
    private static long Fans(Tensor weight) => (weight.shape[0] + weight.shape[1]) * weight.shape[2..].Aggregate(1L, (product, axis) => product * axis);
}
