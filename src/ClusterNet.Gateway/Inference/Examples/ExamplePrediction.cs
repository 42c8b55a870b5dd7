using ClusterNet.Cluster.Serving;

namespace ClusterNet.Gateway.Inference.Examples;

/// <summary>What an example answers.</summary>
/// <param name="Example">the model</param>
/// <param name="Values">of each output, in the model's order: integers, or texts</param>
/// <param name="Shape">of each output</param>
internal sealed record ExamplePrediction(ExampleModel Example, IReadOnlyList<Array> Values, long[] Shape)
    : ServedPrediction(new Prediction(Example.Version.Id, [], ReadOnlyMemory<float>.Empty), "", TimeSpan.Zero, TimeSpan.Zero)
{
    /// <summary>The outputs that were asked for.</summary>
    /// <exception cref="PredictionException">one was to be ranked</exception>
    public List<OutputTensor> OutputsOf(InferRequest request)
    {
        var outputs = new List<OutputTensor>();
        foreach (var wanted in request.Outputs)
        {
            if (wanted.Classes > 0)
                throw Refusal.Invalid($"outputs.{wanted.Name}.parameters.{RequestedOutput.ClassificationName}", "the examples have no classes");
            var index = Example.Outputs.Index().First(output => output.Item.Name == wanted.Name).Index;
            outputs.Add(Example.OutputOf(index, Values[index], Shape, wanted.IsBinary ?? request.Parameters.IsBinary));
        }
        return outputs;
    }
}
