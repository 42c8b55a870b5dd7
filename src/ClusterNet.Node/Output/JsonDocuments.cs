using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Node.Jobs;

namespace ClusterNet.Node.Output;

/// <summary>What commands print under <c>--json</c>: one document each. Names are snake_case; numbers that JSON does not have are null.</summary>
internal static class JsonDocuments
{
    private static readonly string[] Parts = ["training", "validation", "test"];

    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The text of a document.</summary>
    public static string Text(JsonNode document) => document.ToJsonString(Format);

    /// <summary>A number, or null where JSON has none for it.</summary>
    public static JsonNode? Number(double? value) => value is { } number && double.IsFinite(number) ? JsonValue.Create(number) : null;

    /// <summary>A word of the program, e.g. <c>completed</c>.</summary>
    public static string Word(JobStatus status) => status.ToString().ToLowerInvariant();

    /// <summary>What went wrong.</summary>
    public static JsonObject Error(string kind, string message, IEnumerable<Fault> faults, string? details = null)
    {
        var error = new JsonObject
        {
            ["kind"] = kind,
            ["message"] = message,
            ["faults"] = new JsonArray([.. faults.Select(fault => (JsonNode)new JsonObject
            {
                ["place"] = fault.Place,
                ["message"] = fault.Message,
                ["suggestion"] = FaultText.Suggestion(fault),
            })]),
        };
        if (details is not null)
            error["details"] = details;
        return new JsonObject { ["error"] = error };
    }

    /// <summary>How a job ended, or where it stands.</summary>
    public static JsonObject Job(JobDetails job)
    {
        var result = job.Result;
        var document = new JsonObject
        {
            ["job"] = job.Summary.Job.Value,
            ["status"] = Word(job.Progress.Status),
            ["steps"] = result?.Steps ?? job.Progress.Step,
            ["epochs"] = result?.Epochs ?? job.Progress.Epoch,
            ["samples_per_second"] = Number(result?.SamplesPerSecond ?? job.Progress.SamplesPerSecond),
            ["weights_sha256"] = result?.WeightsSha256,
            ["model"] = result?.Version.Model,
            ["version"] = result?.Version.Version,
            ["selected_step"] = result?.SelectedStep,
            ["metrics"] = MetricsByPart(result?.Metrics),
        };
        if (job.Progress.Status == JobStatus.Failed)
            document["error"] = Error("failed", job.Progress.Failure ?? "the job failed", [])["error"]!.DeepClone();
        return document;
    }

    /// <summary>All that is known of a job.</summary>
    public static JsonObject JobInFull(JobDetails job)
    {
        var document = Job(job);
        document["submitted"] = job.Summary.Submitted.ToString("O");
        document["total_steps"] = job.Summary.TotalSteps;
        document["checkpoints"] = new JsonArray([.. job.CommittedCheckpoints.Select(step => (JsonNode)step)]);
        document["history"] = new JsonArray([.. job.Epochs.Select(epoch => (JsonNode)new JsonObject
        {
            ["epoch"] = epoch.Epoch,
            ["step"] = epoch.Step,
            ["training_loss"] = Number(epoch.TrainingLoss),
            ["validation"] = Metrics(epoch.Validation),
            ["is_best"] = epoch.IsBest,
        })]);
        document["ledger"] = new JsonArray([.. job.Ledger.Select(visits => (JsonNode)new JsonObject
        {
            ["epoch"] = visits.Epoch,
            ["step"] = visits.Step,
            ["samples"] = visits.Samples,
            ["expected"] = visits.Expected,
            ["fingerprint_equal"] = visits.IsEqual,
        })]);
        document["generations"] = new JsonArray([.. job.Generations.Select(generation => (JsonNode)new JsonObject
        {
            ["generation"] = generation.Generation.Number,
            ["step"] = generation.Step,
            ["restore_step"] = generation.RestoreStep,
            ["reason"] = generation.Reason,
            ["at"] = generation.At.ToString("O"),
        })]);
        document["left_out"] = new JsonArray([.. job.LeftOut.Select(node => (JsonNode)new JsonObject { ["node"] = node.Node, ["reason"] = node.Reason })]);
        document["spec"] = Settings(JobWriter.Write(job.Spec));
        return document;
    }

    /// <summary>A job in a list.</summary>
    public static JsonObject Job(JobSummary job) => new()
    {
        ["job"] = job.Job.Value,
        ["status"] = Word(job.Status),
        ["steps"] = job.Step,
        ["total_steps"] = job.TotalSteps,
        ["submitted"] = job.Submitted.ToString("O"),
        ["model"] = job.Version?.Model,
        ["version"] = job.Version?.Version,
    };

    /// <summary>A version of a model.</summary>
    public static JsonObject Model(ModelVersion version, IReadOnlyList<string>? labels = null) => new()
    {
        ["model"] = version.Id.Model,
        ["version"] = version.Id.Version,
        ["labels"] = Texts(labels ?? []),
        ["kind"] = version.Model.Kind,
        ["job"] = version.Job.Value,
        ["step"] = version.Step,
        ["seed"] = version.Seed,
        ["parameters"] = version.Parameters,
        ["weights_sha256"] = version.WeightsSha256,
        ["data_fingerprint"] = version.DataFingerprint,
        ["task"] = version.Signature.Task.ToString().ToLowerInvariant(),
        ["target"] = version.Signature.TargetName,
        ["inputs"] = Texts(version.Signature.InputNames),
        ["shape"] = new JsonArray([.. version.Signature.Shape.Select(axis => (JsonNode)axis)]),
        ["classes"] = Texts(version.Signature.Classes),
        ["metrics"] = MetricsByPart(version.Metrics),
        ["registered"] = version.Registered.ToString("O"),
        ["libraries"] = new JsonObject(version.Libraries.Select(library => KeyValuePair.Create(library.Key, (JsonNode?)library.Value))),
    };

    /// <summary>Metrics by name.</summary>
    public static JsonObject Metrics(IReadOnlyDictionary<string, double>? metrics) =>
        new((metrics ?? new Dictionary<string, double>()).Select(pair => KeyValuePair.Create(pair.Key, Number(pair.Value))));

    /// <summary>Metrics by part: the three parts are always there, an empty one has none.</summary>
    public static JsonObject MetricsByPart(IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>>? metrics) =>
        new(Parts.Select(part => KeyValuePair.Create(part, (JsonNode?)Metrics(metrics?.GetValueOrDefault(part)))));

    /// <summary>Settings as JSON; scalars stay text.</summary>
    public static JsonNode Settings(SettingValue value) => value switch
    {
        SettingValue.Map map => new JsonObject(map.Entries.Select(entry => KeyValuePair.Create(entry.Key, (JsonNode?)Settings(entry.Value)))),
        SettingValue.List list => new JsonArray([.. list.Items.Select(Settings)]),
        SettingValue.Scalar scalar => JsonValue.Create(scalar.Text),
        _ => throw new InvalidOperationException($"a setting of type {value.GetType().Name}"),
    };

    /// <summary>A list of texts.</summary>
    public static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)text)]);
}
