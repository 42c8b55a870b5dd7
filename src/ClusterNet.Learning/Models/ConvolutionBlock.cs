using TorchSharp;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>What all blocks of a model share.</summary>
/// <param name="Axes">1 or 2</param>
/// <param name="Kernel">odd</param>
/// <param name="Groups">of group normalisation; 0 for none</param>
/// <param name="Activation">behind each convolution</param>
/// <param name="Residual">whether there are two convolutions and a shortcut</param>
internal sealed record ConvolutionOptions(int Axes, int Kernel, int Groups, Activation Activation, bool Residual)
{
    public nn.Module<Tensor, Tensor> Convolution(int from, int to, int kernel) =>
        Axes == 1 ? nn.Conv1d(from, to, kernel, padding: kernel / 2) : nn.Conv2d(from, to, kernel, padding: kernel / 2);
}

/// <summary>
/// Convolution, normalisation, activation; or (He et al. 2016, figure 2) two of them around a shortcut, which is a 1 x 1 convolution where the number of channels changes.
/// </summary>
internal sealed class ConvolutionBlock : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> _body;

    public ConvolutionBlock(int from, int to, ConvolutionOptions options)
        : base(nameof(ConvolutionBlock))
    {
        var body = new List<(string Name, nn.Module<Tensor, Tensor> Module)> { ("conv", options.Convolution(from, to, options.Kernel)) };
        if (options.Groups > 0)
            body.Add(("norm", nn.GroupNorm(options.Groups, to)));
        body.Add(("activation", options.Activation.ToModule()));
        if (options.Residual)
        {
            body.Add(("conv2", options.Convolution(to, to, options.Kernel)));
            if (options.Groups > 0)
                body.Add(("norm2", nn.GroupNorm(options.Groups, to)));
            Activation = options.Activation.ToModule();
            if (from != to)
                Shortcut = options.Convolution(from, to, 1);
        }
        Body = [.. body.Select(named => named.Module)];
        _body = nn.Sequential(body);
        register_module("body", _body);
        if (Shortcut is not null)
            register_module("shortcut", Shortcut);
        if (Activation is not null)
            register_module("activation", Activation);
    }

    /// <summary>Called one after the other.</summary>
    public IReadOnlyList<nn.Module<Tensor, Tensor>> Body { get; }

    /// <summary>What the input goes through before it is added; null where it is added as it is, or not at all.</summary>
    public nn.Module<Tensor, Tensor>? Shortcut { get; }

    /// <summary>Behind the sum; null where there is none, and the body is all.</summary>
    public nn.Module<Tensor, Tensor>? Activation { get; }

    public override Tensor forward(Tensor input)
    {
        var body = _body.call(input);
        if (Activation is null)
            return body;
        using (body)
        {
            using var shortcut = Shortcut is null ? input.alias() : Shortcut.call(input);
            using var one = 1.ToScalar();
            using var sum = body.add(shortcut, one);
            return Activation.call(sum);
        }
    }
}
