using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>
/// The <c>mlp</c>: dense layers over the flattened input. Settings: <c>hidden</c> (sizes, [64, 32]), <c>activation</c>, <c>layer-norm</c> (before each activation), <c>dropout</c> (after it).
/// </summary>
internal static class Mlp
{
    public static nn.Module<Tensor, Tensor> Create(ModelContext context)
    {
        var settings = context.Settings;
        var hidden = settings.Has("hidden") ? settings.Integers("hidden", least: 1) : [64, 32];
        var activation = settings.ReadActivation();
        var layerNorm = settings.Truth("layer-norm", false);
        var dropout = settings.ReadDropout();
        int[] sizes = [context.InputShape.Aggregate(1, (product, axis) => checked(product * axis)), .. hidden, context.Outputs];
        context.Bound("hidden", sizes.Zip(sizes.Skip(1), (from, to) => (from + 1.0) * to).Sum());
        context.Check();
        context.AvoidsOneDnn = activation != Activation.Gelu;
        // all of it is computed by kernels of our own: what is drawn shall not differ between processors either
        context.Random.IsOwn = activation == Activation.Relu;

        var modules = new List<(string, nn.Module<Tensor, Tensor>)> { ("flatten", nn.Flatten()) };
        AddDense(modules, "dense", sizes, activation, layerNorm, dropout, context);
        return nn.Sequential(modules);
    }

    /// <summary>Adds dense layers with what stands between them; the last is the output layer and has nothing behind it.</summary>
    public static void AddDense(
        List<(string, nn.Module<Tensor, Tensor>)> modules, string name, IReadOnlyList<int> sizes, Activation activation, bool layerNorm, double dropout, ModelContext context)
    {
        for (var i = 1; i < sizes.Count - 1; i++)
        {
            modules.Add(($"{name}{i}", nn.Linear(sizes[i - 1], sizes[i])));
            if (layerNorm)
                modules.Add(($"{name}{i}-norm", nn.LayerNorm(sizes[i])));
            modules.Add(($"{name}{i}-{activation.ToString().ToLowerInvariant()}", activation.ToModule()));
            if (dropout > 0)
                modules.Add(($"{name}{i}-dropout", context.Dropout(dropout)));
        }
        modules.Add(("output", nn.Linear(sizes[^2], sizes[^1])));
    }
}
