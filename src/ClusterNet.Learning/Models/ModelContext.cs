using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Models;

/// <summary>Makes a model: float32 [batch, <see cref="ModelContext.InputShape"/>] in, float32 [batch, <see cref="ModelContext.Outputs"/>] out (logits or values, no softmax).</summary>
/// <param name="context">settings, shapes, and where to draw from</param>
/// <returns>a module without buffers that training changes (batch normalisation) and without torch's own dropout</returns>
public delegate nn.Module<Tensor, Tensor> ModelFactory(ModelContext context);

/// <summary>What a model factory is given.</summary>
public sealed class ModelContext
{
    /// <summary>The most parameters a built-in model may have: 2 GB of weights, and three times that while it trains.</summary>
    public const long MostParameters = 500_000_000;

    private bool _checked;

    internal ModelContext(SettingReader settings, IReadOnlyList<int> inputShape, int outputs, TrainingRandom random)
    {
        Settings = settings;
        InputShape = inputShape;
        Outputs = outputs;
        Random = random;
    }

    /// <summary>The model's settings in the job file. What is never asked for is reported as unknown.</summary>
    public SettingReader Settings { get; }

    /// <summary>Shape of one sample, without the batch axis.</summary>
    public IReadOnlyList<int> InputShape { get; }

    /// <summary>Values that the model gives for each sample.</summary>
    public int Outputs { get; }

    /// <summary>Where the model draws from while it trains; see <see cref="Dropout"/> for the common case.</summary>
    public TrainingRandom Random { get; }

    /// <summary>Whether nothing of the model is computed by oneDNN, which reads memory that nobody wrote: such a model needs no clean memory, see <c>NativeHeap</c>.</summary>
    internal bool AvoidsOneDnn { get; set; }

    /// <summary>Dropout to use instead of torch's own.</summary>
    /// <param name="probability">that an element is dropped, 0 up to but not including 1</param>
    public SeededDropout Dropout(double probability) => new(probability, Random);

    /// <summary>
    /// Reports settings that were never asked for, and stops here if anything is wrong. A factory calls it after its last setting and before it makes modules, so that
    /// wrong settings don't become wrong modules.
    /// </summary>
    /// <exception cref="InputException">with every fault found so far</exception>
    public void Check()
    {
        if (!_checked)
            Settings.Finish();
        _checked = true;
        if (Settings.Faults.Count > 0)
            throw new InputException([.. Settings.Faults]);
    }

    /// <summary>A fault where the settings ask for more than <see cref="MostParameters"/>.</summary>
    /// <param name="setting">the one to blame</param>
    /// <param name="parameters">how many it makes, about</param>
    internal void Bound(string setting, double parameters)
    {
        if (parameters > MostParameters)
            Settings.Fault(setting, FormattableString.Invariant($"makes a model of about {parameters:0.##e+0} parameters; at most {MostParameters:0e+0} are possible"));
    }
}
