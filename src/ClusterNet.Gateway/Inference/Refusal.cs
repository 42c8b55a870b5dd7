using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;

namespace ClusterNet.Gateway.Inference;

/// <summary>What a caller did wrong, or what can't be done now, as the protocol's errors.</summary>
internal static class Refusal
{
    /// <summary>The request can't be read or does not fit the model: the same request will fail again.</summary>
    /// <param name="place">path in the request: <c>inputs[0].data</c></param>
    /// <param name="message">what was found and what would be right</param>
    public static PredictionException Invalid(string place, string message) => new(ServingProtocol.FailureKind.InvalidInput, [new Fault(place, message)]);

    /// <summary>A name that is not one of those known; no more of these are listed than fit in a line.</summary>
    public static PredictionException Unknown(string place, string what, string found, IEnumerable<string> known) =>
        Invalid(place, $"'{Shown(found)}' is no {what} of this model; it has {Listed(known)}");

    /// <summary>A text from outside, cut where it is long.</summary>
    public static string Shown(string text) => text.Length <= 100 ? text : text[..100] + "...";

    /// <summary>Some names in a line.</summary>
    public static string Listed(IEnumerable<string> names)
    {
        const int Most = 40;
        var all = names.Take(Most + 1).ToList();
        return string.Join(", ", all.Take(Most)) + (all.Count > Most ? ", ..." : "");
    }

    /// <summary>What goes to the caller.</summary>
    /// <param name="failure">why there is no answer</param>
    /// <param name="model">that was asked for</param>
    public static string MessageOf(PredictionException failure, string model) => failure.Kind switch
    {
        // NVIDIA's clients look for these words
        ServingProtocol.FailureKind.UnknownModel => $"Request for unknown model: '{Shown(model)}': {failure.Message}",
        _ => failure.Message,
    };
}
