using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Audit;
using ClusterNet.Gateway.Store;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;

namespace ClusterNet.Node.Commands;

/// <summary><c>audit verify|export|replay</c>: what was predicted and done, whether it is as it was written, and whether it comes out again.</summary>
internal static class AuditCommand
{
    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var store = new GatewayStoreOptions();
        var expected = new Option<string[]>("--expect") { Description = "A head that was kept elsewhere (CHAIN@SEQUENCE:HASH, from an earlier verification or the node's log): that record must be there as it was. May be given several times", HelpName = "HEAD" };
        var verify = store.AddTo(new Command("verify", "Find what was changed, taken out or cut off: exit code 1 where anything was") { expected });
        line.On(verify, (parse, run) =>
        {
            var heads = (parse.GetValue(expected) ?? []).Select(text => AuditHead.TryParse(text, out var head) ? head : throw new InputException("--expect", $"'{text}' is not CHAIN@SEQUENCE:HASH, as 'audit verify' prints it")).ToArray();
            using var opened = store.Open(parse, run);
            return Task.FromResult(Verify(run, AuditVerifier.Verify(opened, heads, run.Interrupt)));
        });

        var output = new Option<string>("--output") { Description = "Where to write: FILE.jsonl or FILE.csv", HelpName = "FILE", Required = true };
        var export = store.AddTo(new Command("export", "Write the audit log into a file") { output });
        line.On(export, (parse, run) =>
        {
            using var opened = store.Open(parse, run);
            return Task.FromResult(Export(run, opened, parse.GetRequiredValue(output)));
        });

        var replay = store.AddTo(new Command("replay", "Compute the predictions of the audit log again and compare bits: those whose input was stored (audit.store-input). Exit code 1 where any differs"));
        line.On(replay, async (parse, run) =>
        {
            using var opened = store.Open(parse, run);
            await using var cluster = await run.StartClusterAsync();
            return Replayed(run, await AuditReplay.RunAsync(opened, (model, version, weights, input, cancel) => AgainAsync(cluster, model, version, weights, input, cancel), run.Interrupt));
        });
        return new Command("audit", "Verify, export and replay the audit log of a gateway") { verify, export, replay };
    }

    private static int Verify(CommandRun run, AuditReport report)
    {
        if (run.Json)
        {
            run.Print(new JsonObject
            {
                ["records"] = report.Records,
                ["whole"] = report.IsWhole,
                ["heads"] = JsonDocuments.Texts(report.Heads.Select(head => head.ToString())),
                ["faults"] = Faults(report.Faults),
                ["damage"] = JsonDocuments.Texts(report.Damage),
            });
            return report.IsWhole ? ExitCode.Done : ExitCode.Failed;
        }
        foreach (var fault in report.Faults)
            run.Screen.ErrorLine($"clusternet: {fault}");
        foreach (var damage in report.Damage)
            run.Screen.ErrorLine($"clusternet: the database file is damaged: {damage}");
        foreach (var head in report.Heads)
            run.Screen.Line(head.ToString());
        run.Screen.ErrorLine(report.IsWhole
            ? $"{Figures.Count(report.Records)} records are whole. Keep the heads elsewhere: with --expect they show later whether the log was written anew."
            : $"The audit log is not as it was written: {Figures.Count(report.Faults.Count + report.Damage.Count, "fault")} in {Figures.Count(report.Records, "record")}.");
        return report.IsWhole ? ExitCode.Done : ExitCode.Failed;
    }

    private static int Export(CommandRun run, GatewayStore store, string path)
    {
        var isCsv = Path.GetExtension(path).Equals(".csv", StringComparison.OrdinalIgnoreCase);
        if (!isCsv && !Path.GetExtension(path).Equals(".jsonl", StringComparison.OrdinalIgnoreCase))
            throw new InputException("--output", $"'{path}' ends neither in .jsonl nor in .csv");
        if (AtomicFile.Check("--output", path) is { Count: > 0 } faults)
            throw new InputException(faults);
        var full = Path.GetFullPath(path);
        // the log may be longer than memory: into a file beside it, which then takes the name
        var beside = $"{full}.{Guid.NewGuid():n}.tmp";
        try
        {
            long count;
            using (var stream = new FileStream(beside, FileMode.CreateNew, FileAccess.Write))
            {
                if (isCsv)
                {
                    using var writer = new StreamWriter(stream, new UTF8Encoding(false));
                    count = AuditExport.WriteCsv(store, writer, run.Interrupt);
                }
                else
                {
                    count = AuditExport.WriteJson(store, stream, run.Interrupt);
                }
            }
            File.Move(beside, full, overwrite: true);
            if (run.Json)
                run.Print(new JsonObject { ["records"] = count, ["output"] = full });
            else
                run.Screen.Line($"{Figures.Count(count)} records are in {path}.");
            return ExitCode.Done;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ClusterException($"'{path}' can't be written: {error.Message}");
        }
        finally
        {
            File.Delete(beside);
        }
    }

    private static async Task<ReadOnlyMemory<float>?> AgainAsync(ICluster cluster, string model, int version, string weights, ModelInput input, CancellationToken cancel)
    {
        try
        {
            if ((await cluster.ModelAsync(model, version, cancel)).WeightsSha256 != weights)
                return null;
        }
        catch (InputException)
        {
            return null;
        }
        var serving = (cluster as LocalCluster)?.Serving ?? throw new ClusterException("predictions are computed again by a cluster in this process: leave the other one alone, or end what uses the data directory");
        return (await serving.PredictAsync(new PredictRequest(model, input) { Version = version.ToString(CultureInfo.InvariantCulture) }, cancel)).Prediction.Outputs;
    }

    private static int Replayed(CommandRun run, ReplayReport report)
    {
        if (run.Json)
        {
            run.Print(new JsonObject { ["same"] = report.Same, ["without_input"] = report.WithoutInput, ["gone"] = report.Gone, ["different"] = report.Different, ["faults"] = Faults(report.Faults) });
        }
        else
        {
            foreach (var fault in report.Faults)
                run.Screen.ErrorLine($"clusternet: {fault}");
            run.Screen.Line($"{Figures.Count(report.Same)} predictions came out again, bit by bit; {Figures.Count(report.Different)} did not; {Figures.Count(report.Gone)} are of versions that are gone; {Figures.Count(report.WithoutInput)} have no stored input.");
        }
        return report.Different == 0 ? ExitCode.Done : ExitCode.Failed;
    }

    private static JsonArray Faults(IEnumerable<AuditFault> faults) =>
        new([.. faults.Select(fault => (JsonNode)new JsonObject { ["chain"] = fault.Chain, ["sequence"] = fault.Sequence, ["message"] = fault.Message })]);
}
