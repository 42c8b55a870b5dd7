using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>
/// Dropout (Srivastava et al. 2014, inverted: what stays is scaled by 1 / (1 - p)) that draws from <see cref="TrainingRandom"/>, so that the same slice of the same step loses the
/// same elements wherever and however often it is computed. Any shape in, the same shape out; does nothing in evaluation.
/// </summary>
public sealed class SeededDropout : nn.Module<Tensor, Tensor>
{
    private readonly double _probability;
    private readonly TrainingRandom _random;

    /// <param name="probability">that an element is dropped, 0 up to but not including 1</param>
    /// <param name="random">of the model's context</param>
    public SeededDropout(double probability, TrainingRandom random)
        : base(nameof(SeededDropout))
    {
        if (!(probability is >= 0 and < 1))
            throw new ArgumentOutOfRangeException(nameof(probability), probability, "not in 0 to 1");
        _probability = probability;
        _random = random;
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        if (!training || _probability == 0)
            return input.alias();
        if (_random.IsOwn)
        {
            using var factors = empty(input.shape, ScalarType.Float32);
            Draw(MemoryMarshal.Cast<byte, float>(factors.bytes));
            return input.mul(factors);
        }
        using var share = (1 - _probability).ToScalar();
        using var kept = empty_like(input, requires_grad: false).bernoulli_(1 - _probability, _random.Generator).div_(share);
        return input.mul(kept);
    }

    /// <summary>Whether <see cref="Draw"/> says what is dropped, and libtorch does not.</summary>
    internal bool IsOwn => _random.IsOwn;

    /// <summary>Draws the factors of the next values: 0 for what is dropped, else 1 / (1 - p).</summary>
    internal void Draw(Span<float> factors) => _random.Draw(factors, _probability);
}
