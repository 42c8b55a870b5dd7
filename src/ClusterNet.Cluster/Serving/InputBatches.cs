using ClusterNet.Cluster.Access;

namespace ClusterNet.Cluster.Serving;

/// <summary>Cuts a request's samples into parts that fit into a message between nodes.</summary>
internal static class InputBatches
{
    /// <summary>Whether one message takes them all.</summary>
    public static bool Fit(ModelInput input) => input switch
    {
        // a lone sample is not cut in any case
        { Count: <= 1 } => true,
        ModelInput.Prepared prepared => prepared.Values.Length <= SampleBatches.MostBytes / sizeof(float),
        ModelInput.Raw raw => SampleBatches.Fit(raw.Samples),
        _ => true,
    };

    /// <summary>The samples in order, with the number of the first of each part.</summary>
    public static IEnumerable<(int First, ModelInput Input)> Of(ModelInput input)
    {
        if (input is ModelInput.Raw raw)
        {
            foreach (var (first, samples) in SampleBatches.Of(raw.Samples))
                yield return (first, new ModelInput.Raw(samples));
            yield break;
        }
        var prepared = (ModelInput.Prepared)input;
        var width = prepared.Values.Length / prepared.Count;
        // what is no whole number of samples is refused by the model, in the last part
        var count = Math.Max(1, SampleBatches.MostBytes / Math.Max(1, width * sizeof(float)));
        for (var first = 0; first < prepared.Count; first += count)
        {
            var end = first + count >= prepared.Count ? prepared.Values.Length : (first + count) * width;
            yield return (first, new ModelInput.Prepared(prepared.Shape, prepared.Values[(first * width)..end]));
        }
    }
}
