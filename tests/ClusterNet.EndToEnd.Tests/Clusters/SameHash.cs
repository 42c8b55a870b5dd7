using System.Collections.Concurrent;
using System.Text.Json.Nodes;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>Compares how a job of a cluster ended with one process that nobody disturbed.</summary>
internal static class SameHash
{
    /// <summary>Steps from one checkpoint to the next.</summary>
    public const int Every = 20;

    private static readonly ConcurrentDictionary<(string File, int Steps), Lazy<Task<string>>> _undisturbed = new();

    /// <summary>What a job is given so that it has this many steps, with many checkpoints.</summary>
    public static string[] Settings(int steps) =>
        ["training.epochs=", $"training.steps={steps}", $"training.checkpoint.every={Every}", "training.early-stopping="];

    /// <summary>The same weights, every sample visited once an epoch, and no gap or fork in its history.</summary>
    /// <param name="file">of the job</param>
    /// <param name="steps">that it was given</param>
    /// <param name="job">what <c>jobs show --json</c> says of it</param>
    public static async Task RequireAsync(string file, int steps, JsonNode job)
    {
        Assert.Equal(steps, job["steps"]!.GetValue<long>());
        Assert.Equal(await UndisturbedAsync(file, steps), job["weights_sha256"]!.GetValue<string>());
        Assert.NotEmpty(job["ledger"]!.AsArray());
        Assert.All(job["ledger"]!.AsArray(), visits =>
        {
            Assert.Equal(visits!["expected"]!.GetValue<long>(), visits["samples"]!.GetValue<long>());
            Assert.True(visits["fingerprint_equal"]!.GetValue<bool>());
        });
        var generations = job["generations"]!.AsArray().Select(generation => generation!["generation"]!.GetValue<long>()).ToArray();
        Assert.Equal(generations.Order().Distinct(), generations);
    }

    /// <summary>The digest of the weights that one process ends with.</summary>
    public static Task<string> UndisturbedAsync(string file, int steps) => _undisturbed.GetOrAdd((file, steps), _ => new Lazy<Task<string>>(async () =>
    {
        using var directory = new DataDirectory();
        string[] arguments = ["train", Repository.Job(file), "--json", .. Settings(steps).SelectMany(setting => new[] { "--set", setting })];
        return (await directory.RunAsync(arguments)).Expect(0).Document["weights_sha256"]!.GetValue<string>();
    })).Value;
}
