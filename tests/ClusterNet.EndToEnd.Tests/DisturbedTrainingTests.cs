using System.Collections.Concurrent;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>Training that is killed or stopped at any moment and resumed ends with the weights of training that was not, whatever the number of workers.</summary>
public sealed class DisturbedTrainingTests(ITestOutputHelper output)
{
    private static readonly ConcurrentDictionary<string, Lazy<Task<string>>> _undisturbed = new();

    [SkippableTheory]
    [InlineData("breast-cancer.yaml", 1300, 50)]
    [InlineData("digits-cnn.yaml", 160, 10)]
    [InlineData("digits-gru.yaml", 200, 10)]
    public async Task Killed_in_mid_training_and_resumed(string file, int steps, int every)
    {
        Skip.If(OperatingSystem.IsWindows(), "signals are of Unix");
        using var directory = new DataDirectory();
        var training = directory.Start([.. Arguments(file, steps, every), "--set", "training.workers=2", "--set", "training.shards=2"]);
        await training.UntilCheckpointAsync(RandomStep(steps, every));
        await training.KillAsync();
        await ResumeAsync(directory, file, steps, every);
    }

    [SkippableTheory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task Stopped_by_a_signal_and_resumed(string signal)
    {
        const string file = "breast-cancer.yaml";
        const int steps = 1300, every = 50;
        Skip.If(OperatingSystem.IsWindows(), "signals are of Unix");
        using var directory = new DataDirectory();
        var training = directory.Start([.. Arguments(file, steps, every), "--set", "training.workers=4"]);
        await training.UntilCheckpointAsync(RandomStep(steps, every));
        await training.SignalAsync(signal);
        var stopped = (await training.EndAsync()).Expect(130).Document;
        Assert.Equal("interrupted", stopped["status"]!.GetValue<string>());
        Assert.Null(stopped["weights_sha256"]);
        await ResumeAsync(directory, file, steps, every);
    }

    private async Task ResumeAsync(DataDirectory directory, string file, int steps, int every)
    {
        var job = (await directory.RunAsync("jobs", "list", "--json")).Expect(0).Document["jobs"]!.AsArray().Single()!;
        Assert.Equal("interrupted", job["status"]!.GetValue<string>());
        var id = job["job"]!.GetValue<string>();
        output.WriteLine($"{id} goes on from step {job["steps"]}");
        var done = (await directory.RunAsync("resume", id, "--json")).Expect(0).Document;
        Assert.Equal("completed", done["status"]!.GetValue<string>());
        Assert.Equal(steps, done["steps"]!.GetValue<long>());
        Assert.Equal(await UndisturbedAsync(file, steps, every), done["weights_sha256"]!.GetValue<string>());
    }

    private long RandomStep(int steps, int every)
    {
        var step = Random.Shared.Next(every, steps / 2);
        output.WriteLine($"disturbed after the first checkpoint from step {step}");
        return step;
    }

    private static Task<string> UndisturbedAsync(string file, int steps, int every) => _undisturbed.GetOrAdd(file, _ => new Lazy<Task<string>>(async () =>
    {
        using var directory = new DataDirectory();
        return (await directory.RunAsync(Arguments(file, steps, every))).Expect(0).Document["weights_sha256"]!.GetValue<string>();
    })).Value;

    private static string[] Arguments(string file, int steps, int every) =>
    [
        "train", Repository.Job(file), "--json",
        "--set", "training.epochs=", "--set", $"training.steps={steps}", "--set", $"training.checkpoint.every={every}", "--set", "training.early-stopping=",
    ];
}
