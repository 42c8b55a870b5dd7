namespace ClusterNet.EndToEnd.Tests;

/// <summary>A disk that is full costs checkpoints, loudly, and neither the training nor what was committed.</summary>
public sealed class FullDiskTests
{
    private const string Full = "database or disk is full";
    private const int Every = 20;

    // a checkpoint of weights that many takes 3 MB
    private static readonly string[] _job =
    [
        "train", Repository.Job("breast-cancer.yaml"), "--json", "--set", "model.hidden=[512,448]", "--set", "training.epochs=", "--set", "training.steps=2000",
        "--set", $"training.checkpoint.every={Every}", "--set", "training.early-stopping=",
    ];

    [SkippableFact]
    public async Task Training_goes_on_the_next_checkpoint_is_saved_once_there_is_room_and_a_job_that_is_killed_meanwhile_goes_on_from_the_last_good_one()
    {
        using var directory = new DataDirectory();
        var disk = await directory.MountAsync(48);
        var training = directory.Start(_job);
        await training.UntilCheckpointAsync(Every);

        disk.Fill();
        var complaints = await training.UntilSaidAsync(Full);
        // it gets further all the same: the next checkpoints fail as well
        complaints = await training.UntilSaidAsync(Full, complaints);
        disk.Free();
        await training.UntilCheckpointAsync(directory.LatestCheckpoint() + Every);

        disk.Fill();
        await training.UntilSaidAsync(Full, complaints);
        await training.KillAsync();
        disk.Free();
        var job = (await directory.RunAsync("jobs", "list", "--json")).Expect(0).Document["jobs"]!.AsArray().Single()!["job"]!.GetValue<string>();
        var done = (await directory.RunAsync("resume", job, "--json")).Expect(0).Document;

        using var undisturbed = new DataDirectory();
        Assert.Equal((await undisturbed.RunAsync(_job)).Expect(0).Document["weights_sha256"]!.GetValue<string>(), done["weights_sha256"]!.GetValue<string>());
    }
}
