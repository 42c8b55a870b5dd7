using ClusterNet.Core.Plans;
using TorchSharp;

namespace ClusterNet.Learning.Models;

/// <summary>
/// Where a model draws from while it trains: a generator of its own that starts anew for every (seed, step, slice). libtorch's default generator belongs to
/// the whole process, so that two models on two threads would interleave on it and no run could be repeated. Used by one thread at a time.
/// </summary>
public sealed class TrainingRandom : IDisposable
{
    private readonly long _seed;
    private torch.Generator? _generator;
    private (long Step, int Slice) _position;
    private bool _started;

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

    /// <inheritdoc/>
    public void Dispose() => _generator?.Dispose();

    /// <summary>Starts anew; a model that draws nothing pays nothing.</summary>
    internal void Begin(long step, int slice)
    {
        _position = (step, slice);
        _started = false;
    }
}
