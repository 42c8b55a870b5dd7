using ClusterNet.Core.Plans;
using TorchSharp;

namespace ClusterNet.Learning.Models;

/// <summary>
/// Where a model draws from while it trains: a generator of its own that starts anew for every (seed, step, slice). libtorch's default generator belongs to
/// the whole process, so that two models on two threads would interleave on it and no run could be repeated. Used by one thread at a time.
/// </summary>
public sealed class TrainingRandom : IDisposable
{
    /// <summary>Keeps what <see cref="Draw"/> gives apart from what <see cref="Generator"/> does.</summary>
    private const long OwnStream = 1;

    private readonly long _seed;
    private torch.Generator? _generator;
    private (long Step, int Slice) _position;
    private bool _started;
    private SplitMix64? _own;

    internal TrainingRandom(long seed) => _seed = seed;

    /// <summary>
    /// The generator to hand to torch's sampling methods in a training forward, e.g. <c>tensor.bernoulli_(p, random.Generator)</c>. What it gives depends on the seed, the step,
    /// the slice, and what was drawn before in this forward.
    /// </summary>
    public torch.Generator Generator
    {
        get
        {
            _generator ??= new torch.Generator(0, torch.CPU);
            if (!_started)
            {
                _generator.manual_seed(unchecked((long)SplitMix64.Combine(_seed, _position.Step, _position.Slice)));
                _started = true;
            }
            return _generator;
        }
    }

    /// <summary>Whether weights and dropout are drawn by a generator of our own, with the same bits on every processor.</summary>
    internal bool IsOwn { get; set; }

    /// <inheritdoc/>
    public void Dispose() => _generator?.Dispose();

    /// <summary>Starts anew; a model that draws nothing pays nothing.</summary>
    internal void Begin(long step, int slice)
    {
        _position = (step, slice);
        (_started, _own) = (false, null);
    }

    /// <summary>Draws factors by the generator of our own: 0 with a probability, else what makes up for it; two of each 64 bits.</summary>
    internal void Draw(Span<float> kept, double probability)
    {
        _own ??= new SplitMix64(SplitMix64.Combine(_seed, _position.Step, _position.Slice, OwnStream));
        var (least, share) = ((uint)Math.Min(uint.MaxValue, Math.Round(probability * (1L << 32))), (float)(1 / (1 - probability)));
        for (var i = 0; i < kept.Length; i += 2)
        {
            var bits = _own.Next();
            kept[i] = (uint)bits >= least ? share : 0;
            if (i + 1 < kept.Length)
                kept[i + 1] = (uint)(bits >> 32) >= least ? share : 0;
        }
    }
}
