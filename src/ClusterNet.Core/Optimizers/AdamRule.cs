using System.Numerics;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Core.Optimizers;

/// <summary>
/// Kingma and Ba 2015, algorithm 1, in the order of torch.optim.Adam; AdamW is the same with decoupled decay. Slots: first and second moment.
/// </summary>
internal readonly struct AdamRule : IUpdateRule
{
    private readonly float _beta1;
    private readonly float _beta2;
    private readonly float _inflow1;
    private readonly float _inflow2;
    private readonly float _rootScale;
    private readonly float _epsilon;
    private readonly float _rate;
    private readonly float _keep;

    public AdamRule(OptimizerSpec spec, StepConstants constants)
    {
        (_beta1, _beta2) = ((float)spec.Beta1, (float)spec.Beta2);
        (_inflow1, _inflow2) = ((float)(1 - spec.Beta1), (float)(1 - spec.Beta2));
        _rootScale = (float)(1 / Math.Sqrt(1 - PortableMath.Power(spec.Beta2, constants.Updates + 1)));
        _epsilon = (float)constants.Epsilon;
        _rate = (float)(constants.LearningRate / (1 - PortableMath.Power(spec.Beta1, constants.Updates + 1)));
        _keep = constants.Keep;
    }

    /// <inheritdoc/>
    public static int SlotCount => 2;

    /// <inheritdoc/>
    public Vector<float> Next(Vector<float> g, Vector<float> w, ref Vector<float> slot0, ref Vector<float> slot1, ref Vector<float> slot2)
    {
        slot0 = _beta1 * slot0 + _inflow1 * g;
        slot1 = _beta2 * slot1 + _inflow2 * (g * g);
        var denominator = _rootScale * Vector.SquareRoot(slot1) + new Vector<float>(_epsilon);
        return _keep * w - _rate * slot0 / denominator;
    }
}
