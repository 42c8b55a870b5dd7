using System.Globalization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Data;

namespace ClusterNet.Gateway.Inference.Examples;

/// <summary>How an example answers the numbers of a sequence.</summary>
internal enum SequenceRule
{
    /// <summary>Each number as it is, the first one and 1.</summary>
    FirstAndOne,

    /// <summary>The same, and with the last one the sequence's id.</summary>
    LastAndId,

    /// <summary>What all numbers up to this one make together, and with the last one the sequence's id.</summary>
    Running,
}

/// <summary>One number after the other, of sequences side by side. A sequence that has not gone on for a minute is forgotten when there is no room for another.</summary>
/// <param name="name">unique</param>
/// <param name="rule">what it answers</param>
/// <param name="time">the clock</param>
internal sealed class SequenceExample(string name, SequenceRule rule, TimeProvider time)
    : ExampleModel(name, [new("INPUT", DataTypes.NameOf(DataType.Int32), [-1, 1])], [new("OUTPUT", DataTypes.NameOf(DataType.Int32), [-1, 1])])
{
    private const int MaxSequences = 1024;

    private static readonly TimeSpan _patience = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (int Total, long Since)> _sequences = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    protected override ExamplePrediction Compute(ModelInput input, SequenceStep? step)
    {
        if (input is not ModelInput.Raw { Samples: RawSamples.Array { Count: 1 } array })
            throw input.Count == 1 ? OtherInputs() : Refusal.Invalid("inputs[0].shape", $"{input.Count} samples; '{Name}' takes one at a time");
        if (step is not { } one)
            throw Refusal.Invalid($"parameters.{SequenceStep.IdName}", $"inference request to model '{Name}' must specify a non-zero or non-empty correlation ID");
        var number = array.Values.Span[0];
        if (float.IsNaN(number))
            throw Refusal.Invalid("inputs[0].data[0]", "a value is missing");
        if (number is not (> int.MinValue and < int.MaxValue) || number != (int)number)
            throw Refusal.Invalid("inputs[0].data[0]", $"{number.ToString(CultureInfo.InvariantCulture)} is no INT32");
        return new ExamplePrediction(this, [new[] { Next(one, (int)number) }], [1, 1]);
    }

    private int Next(SequenceStep step, int number)
    {
        var id = 0;
        if (rule != SequenceRule.FirstAndOne && step.IsLast && !int.TryParse(step.Id, NumberStyles.None, CultureInfo.InvariantCulture, out id))
            throw Refusal.Invalid($"parameters.{SequenceStep.IdName}", $"'{Refusal.Shown(step.Id)}' is no whole number of 31 bits, which '{Name}' adds to its last answer");
        lock (_lock)
        {
            var isKnown = _sequences.TryGetValue(step.Id, out var sequence);
            if (!step.IsFirst && !isKnown)
                throw Refusal.Invalid($"parameters.{SequenceStep.FirstName}", $"inference request for sequence {Refusal.Shown(step.Id)} to model '{Name}' must specify the START flag on the first request of the sequence");
            var total = unchecked((step.IsFirst ? 0 : sequence.Total) + number);
            if (step.IsLast)
                _sequences.Remove(step.Id);
            else
                Remember(step.Id, total, isKnown);
            return unchecked((rule == SequenceRule.Running ? total : number + (step.IsFirst ? 1 : 0)) + id);
        }
    }

    private void Remember(string id, int total, bool isKnown)
    {
        if (!isKnown && _sequences.Count >= MaxSequences)
        {
            foreach (var idle in _sequences.Where(sequence => time.GetElapsedTime(sequence.Value.Since) > _patience).Select(sequence => sequence.Key).ToList())
                _sequences.Remove(idle);
            if (_sequences.Count >= MaxSequences)
                throw new PredictionException(ServingProtocol.FailureKind.Overloaded, [new Fault($"parameters.{SequenceStep.IdName}", $"'{Name}' has {MaxSequences} sequences under way, which is the most; end some, or wait")], _patience);
        }
        _sequences[id] = (total, time.GetTimestamp());
    }
}
