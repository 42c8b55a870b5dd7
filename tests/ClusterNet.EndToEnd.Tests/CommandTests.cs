using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>The program as users meet it: a model is trained, listed, asked and evaluated; what it can't do it refuses with the right exit code and without a trace.</summary>
public sealed class CommandTests
{
    [Fact]
    public async Task A_trained_model_answers_alike_whatever_form_the_samples_come_in()
    {
        using var directory = new DataDirectory();
        var trained = (await directory.RunAsync("train", Repository.Job("breast-cancer.yaml"), "--json", "--set", "training.epochs=5")).Expect(0).Document;
        var sha256 = trained["weights_sha256"]!.GetValue<string>();
        Assert.Matches("^[0-9a-f]{64}$", sha256);
        Assert.True(trained["metrics"]!["test"]!["accuracy"]!.GetValue<double>() > 0.8);

        var model = (await directory.RunAsync("models", "list", "--json")).Expect(0).Document["models"]!.AsArray().Single()!;
        Assert.Equal(("breast-cancer", 1, sha256), (model["model"]!.GetValue<string>(), model["version"]!.GetValue<int>(), model["weights_sha256"]!.GetValue<string>()));

        var lines = File.ReadLines(Repository.Wdbc).Take(9).Select(line => line[..line.LastIndexOf(',')]).ToArray();
        var rows = lines.Skip(1).Select(line => line.Split(',').Select(cell => double.Parse(cell, CultureInfo.InvariantCulture)).ToArray()).ToArray();
        File.WriteAllLines(directory.File("rows.csv"), lines);
        File.WriteAllText(directory.File("rows.json"), JsonSerializer.Serialize(rows));
        File.WriteAllBytes(directory.File("rows.npz"), Npz("X", rows));
        var expected = await PredictAsync(directory, "rows.csv");
        Assert.Equal(8, expected.Count);
        Assert.Equal(expected, await PredictAsync(directory, "rows.json"));
        Assert.Equal(expected, await PredictAsync(directory, "rows.npz"));

        var evaluated = (await directory.RunAsync("evaluate", "breast-cancer", "--data", "builtin:wdbc", "--json")).Expect(0).Document;
        Assert.Equal(569, evaluated["samples"]!.GetValue<int>());
        Assert.True(evaluated["metrics"]!["accuracy"]!.GetValue<double>() > 0.8);

        var job = (await directory.RunAsync("jobs", "list", "--json")).Expect(0).Document["jobs"]!.AsArray().Single()!["job"]!.GetValue<string>();
        var shown = (await directory.RunAsync("jobs", "show", job, "--json")).Expect(0).Document;
        Assert.Equal(("completed", sha256), (shown["status"]!.GetValue<string>(), shown["weights_sha256"]!.GetValue<string>()));
        Assert.Equal(5, shown["history"]!.AsArray().Count);
    }

    [Fact]
    public async Task A_data_directory_belongs_to_one_process()
    {
        using var directory = new DataDirectory();
        var training = directory.Start("train", Repository.Job("breast-cancer.yaml"), "--set", "training.epochs=100000", "--set", "training.early-stopping=", "--set", "training.checkpoint.every=50");
        await training.UntilCheckpointAsync(50);
        var second = (await directory.RunAsync("jobs", "list")).Expect(1);
        Assert.Contains("in use by another clusternet process", second.Error, StringComparison.Ordinal);
        Assert.Empty(second.Output);
        var third = (await directory.RunAsync("jobs", "list", "--json")).Expect(1);
        Assert.Contains("in use by another clusternet process", third.Document["error"]!["message"]!.GetValue<string>(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bad_input_is_refused_and_nothing_is_stored()
    {
        using var directory = new DataDirectory();
        File.WriteAllText(directory.File("bad.yaml"), "data: { source: no-such-file.csv }\nmodel: { kind: mpl }\ntraining: { epochs: 0 }\n");
        var refused = (await directory.RunAsync("train", directory.File("bad.yaml"), "--json")).Expect(2);
        Assert.NotEmpty(refused.Document["error"]!["faults"]!.AsArray());
        (await directory.RunAsync("train", Repository.Job("breast-cancer.yaml"), "--set", "data.source=no-such-file.csv")).Expect(2);
        (await directory.RunAsync("predict", "no-such-model", "--input", "builtin:wdbc", "--json")).Expect(2);
        (await directory.RunAsync("resume", "no-such-job")).Expect(2);
        Assert.Empty((await directory.RunAsync("jobs", "list", "--json")).Expect(0).Document["jobs"]!.AsArray());
        Assert.Empty((await directory.RunAsync("models", "list", "--json")).Expect(0).Document["models"]!.AsArray());
    }

    private static async Task<IReadOnlyList<string>> PredictAsync(DataDirectory directory, string file)
    {
        var predicted = (await directory.RunAsync("predict", "breast-cancer:1", "--input", directory.File(file), "--json")).Expect(0).Document;
        return [.. predicted["predictions"]!.AsArray().Select(item => item!.ToJsonString())];
    }

    private static byte[] Npz(string name, double[][] rows)
    {
        using var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            using var entry = zip.CreateEntry(name + ".npy").Open();
            var header = $"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows.Length}, {rows[0].Length}), }}".PadRight(128 - 10 - 1) + "\n";
            entry.Write([0x93, .. "NUMPY"u8, 1, 0, (byte)header.Length, 0, .. Encoding.ASCII.GetBytes(header)]);
            entry.Write(MemoryMarshal.AsBytes<double>(rows.SelectMany(row => row).ToArray()));
        }
        return stream.ToArray();
    }
}
