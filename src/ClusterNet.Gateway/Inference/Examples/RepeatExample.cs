using System.Diagnostics;
using ClusterNet.Cluster.Serving;

namespace ClusterNet.Gateway.Inference.Examples;

/// <summary>
/// Answers one request several times, and so by gRPC's stream alone: each number of <c>IN</c> in a response of its own, after as many milliseconds as <c>DELAY</c> has for it. <c>WAIT</c>, for how long Triton's model keeps others
/// waiting, is taken and means nothing here: requests are under way side by side.
/// </summary>
/// <param name="name">unique</param>
/// <param name="time">the clock</param>
internal sealed class RepeatExample(string name, TimeProvider time) : ExampleModel(
    name,
    [new("IN", DataTypes.NameOf(DataType.Int32), [-1]), new("DELAY", DataTypes.NameOf(DataType.UInt32), [-1]), new("WAIT", DataTypes.NameOf(DataType.UInt32), [1])],
    [new("OUT", DataTypes.NameOf(DataType.Int32), [1]), new("IDX", DataTypes.NameOf(DataType.UInt32), [1])],
    maxBatch: 0)
{
    private const int MaxAnswers = 1024;

    private static readonly TimeSpan _longest = TimeSpan.FromMinutes(1);

    /// <summary>All answers, each as soon as it is due.</summary>
    /// <param name="cells">of each input, in the model's order</param>
    /// <param name="cancel">gives up</param>
    /// <returns>a number and its index each</returns>
    /// <exception cref="PredictionException">it is not loaded, or the values do not fit</exception>
    public IReadOnlyList<Task<(int Number, int Index)>> Repeat(IReadOnlyList<string?[]> cells, CancellationToken cancel)
    {
        CheckLoaded();
        var started = Stopwatch.GetTimestamp();
        var (numbers, delays) = (cells[0], cells[1]);
        if (numbers.Length is 0 or > MaxAnswers || delays.Length != numbers.Length)
            throw Refusal.Invalid("inputs", $"{numbers.Length} values of {Inputs[0].Name} and {delays.Length} of {Inputs[1].Name}; as many of one as of the other are taken, 1 to {MaxAnswers}");
        var due = TimeSpan.Zero;
        var answers = new List<Func<Task<(int, int)>>>();
        for (var i = 0; i < numbers.Length; i++)
        {
            var (number, index) = (NumberOf(numbers[i], DataType.Int32, $"{Inputs[0].Name}[{i}]"), i);
            due += TimeSpan.FromMilliseconds(NumberOf(delays[i], DataType.UInt32, $"{Inputs[1].Name}[{i}]"));
            if (due > _longest)
                throw Refusal.Invalid(Inputs[1].Name, $"more than {_longest.TotalSeconds:0} s in all");
            var after = due;
            answers.Add(async () =>
            {
                await Task.Delay(after, time, cancel).ConfigureAwait(false);
                return (number, index);
            });
        }
        Count(1, started);
        return [.. answers.Select(answer => answer())];
    }

    /// <summary>The outputs of one of its answers that were asked for.</summary>
    public List<OutputTensor> OutputsOf((int Number, int Index) answer, IReadOnlyList<RequestedOutput> wanted) =>
    [
        .. wanted.Select(output => output.Name == Outputs[0].Name ? OutputOf(0, new[] { answer.Number }, [1], true) : OutputOf(1, new[] { answer.Index }, [1], true)),
    ];

    /// <inheritdoc/>
    protected override ExamplePrediction Compute(ModelInput input, SequenceStep? step) => throw OneAnswer();

    /// <summary>It was asked where there is one answer.</summary>
    public PredictionException OneAnswer() => Refusal.Invalid("", $"'{Name}' answers one request several times: ask it by gRPC's ModelStreamInfer");
}
