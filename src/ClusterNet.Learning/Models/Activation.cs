using ClusterNet.Core.Jobs;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>The non-linearities of the built-in models.</summary>
internal enum Activation
{
    /// <summary>max(0, x).</summary>
    Relu,

    /// <summary>Hyperbolic tangent.</summary>
    Tanh,

    /// <summary>1 / (1 + exp(-x)).</summary>
    Sigmoid,

    /// <summary>Hendrycks and Gimpel 2016, exact.</summary>
    Gelu,
}

/// <summary>Settings that the built-in models share.</summary>
internal static class CommonSettings
{
    private static readonly Dictionary<string, Activation> _activations = new()
    {
        ["relu"] = Activation.Relu,
        ["tanh"] = Activation.Tanh,
        ["sigmoid"] = Activation.Sigmoid,
        ["gelu"] = Activation.Gelu,
    };

    /// <summary><c>activation</c>, relu if it is not given.</summary>
    public static Activation ReadActivation(this SettingReader settings) => settings.Choice("activation", Activation.Relu, _activations);

    /// <summary><c>dropout</c>, 0 if it is not given.</summary>
    public static double ReadDropout(this SettingReader settings) => settings.Number("dropout", 0, 0, 0.99);

    /// <summary>A module for the non-linearity.</summary>
    public static nn.Module<Tensor, Tensor> ToModule(this Activation activation) => activation switch
    {
        Activation.Relu => nn.ReLU(),
        Activation.Tanh => nn.Tanh(),
        Activation.Sigmoid => nn.Sigmoid(),
        _ => nn.GELU(),
    };
}
