using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Core.Tests.Optimizers;

/// <summary>
/// The update rules once more, element by element in double over the whole vector, written from the papers and torch's documentation and sharing no code with what is tested.
/// </summary>
internal sealed class ReferenceOptimizer(OptimizerSpec spec, ClipSpec clip, ParameterLayout layout, float[] start)
{
    private readonly double[] _a = [.. Enumerable.Repeat(spec.Kind == OptimizerKind.Adagrad ? spec.InitialAccumulator : 0, layout.Length)];
    private readonly double[] _b = new double[layout.Length];
    private readonly double[] _c = new double[layout.Length];

    public double[] Weights { get; } = [.. start];

    /// <param name="t">counts from 1, as in the papers</param>
    /// <param name="rate">of this step</param>
    /// <param name="gradient">the batch's mean</param>
    public void Step(long t, double rate, double[] gradient)
    {
        var g = gradient.Select(x => clip.Value is { } bound ? Math.Clamp(x, -bound, bound) : x).ToArray();
        if (clip.Norm is { } most)
        {
            var norm = Math.Sqrt(g.Sum(x => x * x));
            g = [.. g.Select(x => x * Math.Min(1, most / (norm + 1e-6)))];
        }
        var decay = spec.WeightDecay ?? (spec.Kind == OptimizerKind.AdamW ? 0.01 : 0);
        var decoupled = spec.DecoupledWeightDecay ?? (spec.Kind is OptimizerKind.AdamW or OptimizerKind.Lamb);
        var update = new double[g.Length];
        for (var i = 0; i < g.Length; i++)
        {
            if (!decoupled)
                g[i] += decay * Weights[i];
            update[i] = Direction(t, i, g[i]);
        }
        if (spec.Kind == OptimizerKind.Lamb)
        {
            foreach (var entry in layout.Entries)
            {
                var indices = Enumerable.Range(entry.Offset, entry.Length).ToArray();
                foreach (var i in indices)
                    update[i] += decoupled ? decay * Weights[i] : 0;
                var weightNorm = Math.Sqrt(indices.Sum(i => Weights[i] * Weights[i]));
                var updateNorm = Math.Sqrt(indices.Sum(i => update[i] * update[i]));
                var trust = weightNorm > 0 && updateNorm > 0 ? weightNorm / updateNorm : 1;
                foreach (var i in indices)
                    Weights[i] -= rate * trust * update[i];
            }
            return;
        }
        if (spec.Kind == OptimizerKind.Adagrad)
            rate /= 1 + (t - 1) * spec.LearningRateDecay;
        for (var i = 0; i < g.Length; i++)
        {
            if (decoupled)
                Weights[i] -= rate * decay * Weights[i];
            Weights[i] -= rate * update[i];
        }
    }

    private double Direction(long t, int i, double g)
    {
        switch (spec.Kind)
        {
            case OptimizerKind.Sgd:
                if (spec.Momentum == 0)
                    return g;
                _a[i] = t == 1 ? g : spec.Momentum * _a[i] + (1 - spec.Dampening) * g;
                return spec.Nesterov ? g + spec.Momentum * _a[i] : _a[i];
            case OptimizerKind.Adagrad:
                _a[i] += g * g;
                return g / (Math.Sqrt(_a[i]) + (spec.Epsilon ?? 1e-10));
            case OptimizerKind.RmsProp:
                _a[i] = spec.Alpha * _a[i] + (1 - spec.Alpha) * g * g;
                _b[i] = spec.Alpha * _b[i] + (1 - spec.Alpha) * g;
                var variance = spec.Centered ? _a[i] - _b[i] * _b[i] : _a[i];
                _c[i] = spec.Momentum * _c[i] + g / (Math.Sqrt(variance) + (spec.Epsilon ?? 1e-8));
                return _c[i];
            default:
                _a[i] = spec.Beta1 * _a[i] + (1 - spec.Beta1) * g;
                _b[i] = spec.Beta2 * _b[i] + (1 - spec.Beta2) * g * g;
                var first = _a[i] / (1 - Math.Pow(spec.Beta1, t));
                var second = _b[i] / (1 - Math.Pow(spec.Beta2, t));
                return first / (Math.Sqrt(second) + (spec.Epsilon ?? (spec.Kind == OptimizerKind.Lamb ? 1e-6 : 1e-8)));
        }
    }
}
