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
        InitialisationKind.XavierNormal => nn.init.xavier_normal_(weight, spec.Gain),
        InitialisationKind.KaimingUniform => nn.init.kaiming_uniform_(weight, nonlinearity: nn.init.NonlinearityType.ReLU),
        InitialisationKind.KaimingNormal => nn.init.kaiming_normal_(weight, nonlinearity: nn.init.NonlinearityType.ReLU),
        _ => throw new InvalidOperationException($"initialisation {spec.Kind} has no rule"),
    };
}
