using System.Numerics;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Core.Optimizers;

/// <summary>Duchi, Hazan and Singer 2011 as torch.optim.Adagrad has it: s = s + g g; w - lr / (1 + step decay) g / (sqrt(s) + epsilon). Slot: s.</summary>
internal readonly struct AdagradRule(OptimizerSpec spec, StepConstants constants) : IUpdateRule
{
    private readonly float _rate = (float)(constants.LearningRate / (1 + constants.Step * spec.LearningRateDecay));
    private readonly float _epsilon = (float)constants.Epsilon;
    private readonly float _keep = constants.Keep;

    /// <inheritdoc/>
    public static int SlotCount => 1;

    /// <inheritdoc/>
    public Vector<float> Next(Vector<float> g, Vector<float> w, ref Vector<float> slot0, ref Vector<float> slot1, ref Vector<float> slot2)
    {
        slot0 += g * g;
        return _keep * w - _rate * g / (Vector.SquareRoot(slot0) + new Vector<float>(_epsilon));
    }
}
