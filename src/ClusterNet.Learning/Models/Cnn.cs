using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>
/// The <c>cnn</c>, over [channels, length] or [channels, height, width]. Settings: <c>channels</c> (one block each, [16, 32]), <c>kernel</c> (odd, 3), <c>pool</c> (max, average or none; halves each
/// axis behind each block), <c>group-norm</c> (groups; 0 for none), <c>dropout</c> (behind blocks and head layers), <c>residual</c> (two convolutions a block, with a shortcut), <c>activation</c>, <c>head</c>
/// (dense layers, [64]), <c>global-pool</c> (mean over all places in front of the head).
/// </summary>
internal static class Cnn
{
    private static readonly Dictionary<string, Pooling> _poolings = new()
    {
        ["max"] = Pooling.Max,
        ["average"] = Pooling.Average,
        ["none"] = Pooling.None,
    };

    private enum Pooling
    {
        Max,
        Average,
        None,
    }

    public static nn.Module<Tensor, Tensor> Create(ModelContext context)
    {
        var settings = context.Settings;
        var channels = settings.Has("channels") ? settings.Integers("channels", least: 1) : [16, 32];
        var kernel = settings.Integer("kernel", 3, least: 1);
        var pooling = settings.Choice("pool", Pooling.Max, _poolings);
        var groups = settings.Integer("group-norm", 0, least: 0);
        var dropout = settings.ReadDropout();
        var residual = settings.Truth("residual", false);
        var activation = settings.ReadActivation();
        var head = settings.Has("head") ? settings.Integers("head", least: 1) : [64];
        var globalPool = settings.Truth("global-pool", false);

        if (kernel % 2 == 0)
            settings.Fault("kernel", $"{kernel} is even; an odd kernel keeps the size of the picture");
        if (groups > 0 && channels.FirstOrDefault(count => count % groups != 0) is var odd and > 0)
            settings.Fault("group-norm", $"{groups} groups can't share {odd} channels evenly");
        if (channels.Count == 0)
            settings.Fault("channels", "the list is empty; give at least one number");
        var places = Places(context, pooling, channels.Count);
        var volume = Math.Pow(kernel, places.Length);
        var flattened = places.Aggregate(channels.Count == 0 ? 0 : (double)channels[^1], (product, axis) => globalPool ? product : product * axis);
        int[] sizes = [(int)Math.Min(flattened, int.MaxValue), .. head, context.Outputs];
        int[] depths = [context.InputShape[0], .. channels];
        context.Bound("channels", depths.Zip(channels, (from, to) => (double)to * (residual ? from + to + 1 : from) * volume).Sum());
        context.Bound("head", sizes.Zip(sizes.Skip(1), (from, to) => (from + 1.0) * to).Sum());
        context.Check();

        var options = new ConvolutionOptions(context.InputShape.Count - 1, kernel, groups, activation, residual);
        var modules = new List<(string, nn.Module<Tensor, Tensor>)>();
        for (var i = 0; i < channels.Count; i++)
        {
            modules.Add(($"block{i + 1}", new ConvolutionBlock(depths[i], depths[i + 1], options)));
            if (pooling != Pooling.None)
                modules.Add(($"pool{i + 1}", Pool(pooling, options.Axes)));
            if (dropout > 0)
                modules.Add(($"dropout{i + 1}", context.Dropout(dropout)));
        }
        if (globalPool)
            modules.Add(("global-pool", options.Axes == 1 ? nn.AdaptiveAvgPool1d(1) : nn.AdaptiveAvgPool2d(1)));
        modules.Add(("flatten", nn.Flatten()));
        Mlp.AddDense(modules, "head", sizes, activation, layerNorm: false, dropout, context);
        return nn.Sequential(modules);
    }

    /// <summary>What is left of each axis behind the last block; faults where nothing would be.</summary>
    private static int[] Places(ModelContext context, Pooling pooling, int blocks)
    {
        if (context.InputShape.Count is not (2 or 3))
        {
            context.Settings.Fault("kind", $"a cnn takes samples of shape [channels, length] or [channels, height, width], not [{string.Join(", ", context.InputShape)}]; "
                + "give data.shape, or use an mlp");
            context.Check();
        }
        var places = context.InputShape.Skip(1).ToArray();
        for (var block = 1; pooling != Pooling.None && block <= blocks; block++)
        {
            if (places.Any(axis => axis < 2))
            {
                context.Settings.Fault("channels", $"{string.Join(" x ", context.InputShape.Skip(1))} is pooled to {string.Join(" x ", places)} before block {block} of {blocks}, which can't halve it again; "
                    + "give fewer blocks, or pool: none");
                break;
            }
            places = [.. places.Select(axis => axis / 2)];
        }
        return places;
    }

    private static nn.Module<Tensor, Tensor> Pool(Pooling pooling, int axes) => (pooling, axes) switch
    {
        (Pooling.Max, 1) => nn.MaxPool1d(2),
        (Pooling.Max, _) => nn.MaxPool2d(2),
        (_, 1) => nn.AvgPool1d(2),
        _ => nn.AvgPool2d(2),
    };
}
