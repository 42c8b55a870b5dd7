using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Data.Sqlite;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>One process serves what was trained, trains what is sent to it, lets in who has a key, and writes down what it did so that it can't be changed unseen.</summary>
public sealed class ServeTests
{
    [Fact]
    public async Task A_served_data_directory_trains_by_HTTP_asks_for_keys_and_keeps_its_log()
    {
        using var directory = new DataDirectory();
        using (var open = NodeProcess.Serve(directory.Path, "--port", "0", "--grpc-port", "0"))
        {
            var ready = await open.ReadyAsync();
            Assert.False(ready["authentication"]!.GetValue<bool>());
            using var http = new HttpClient { BaseAddress = new Uri(ready["http"]!.GetValue<string>()) };
            using var body = new StringContent((await File.ReadAllTextAsync(Repository.Job("xor.yaml"))).Replace("name: xor", "name: sent", StringComparison.Ordinal), Encoding.UTF8, "application/yaml");
            using var sent = await http.PostAsync(new Uri("/api/jobs", UriKind.Relative), body);
            var answer = await sent.Content.ReadAsStringAsync();
            Assert.True(sent.StatusCode == HttpStatusCode.Created, answer);
            var job = JsonNode.Parse(answer)!["job"]!.GetValue<string>();
            Assert.Contains("completed", await http.GetStringAsync(new Uri($"/api/jobs/{job}/progress", UriKind.Relative)), StringComparison.Ordinal);
            var seen = (await directory.RunAsync("top", "--url", ready["http"]!.GetValue<string>(), "--json")).Expect(0).Document;
            Assert.Equal("completed", seen["jobs"]!.AsArray().Single()!["status"]!.GetValue<string>());
            Assert.Contains("sent:1", (await directory.RunAsync("top", "--url", ready["http"]!.GetValue<string>())).Expect(0).Output, StringComparison.Ordinal);
            await open.SignalAsync("TERM");
            Assert.Equal(0, await open.EndAsync());
            Assert.Contains("no gateway can be reached", (await directory.RunAsync("top", "--url", ready["http"]!.GetValue<string>())).Expect(1).Error, StringComparison.Ordinal);
            Assert.Contains("authentication is off", open.ToString(), StringComparison.Ordinal);
        }

        var made = (await directory.RunAsync("keys", "create", "--name", "ward", "--scopes", "operate", "--json")).Expect(0).Document;
        using (var closed = NodeProcess.Serve(directory.Path, "--port", "0", "--grpc-port", "0"))
        {
            var ready = await closed.ReadyAsync();
            Assert.True(ready["authentication"]!.GetValue<bool>());
            Assert.Equal("sent", ready["models"]![0]!.GetValue<string>());
            using var http = new HttpClient { BaseAddress = new Uri(ready["http"]!.GetValue<string>()) };
            using var refused = await http.GetAsync(new Uri("/api/jobs", UriKind.Relative));
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            Assert.Contains("CLUSTERNET_API_KEY", (await directory.RunAsync("top", "--url", ready["http"]!.GetValue<string>())).Expect(1).Error, StringComparison.Ordinal);
            http.DefaultRequestHeaders.Add("x-api-key", made["key"]!.GetValue<string>());
            using var answered = await http.GetAsync(new Uri("/api/jobs", UriKind.Relative));
            Assert.Equal(HttpStatusCode.OK, answered.StatusCode);
            // commands work beside it
            (await directory.RunAsync("keys", "list")).Expect(0);
            Assert.True((await directory.RunAsync("audit", "verify", "--json")).Expect(0).Document["whole"]!.GetValue<bool>());
            await closed.SignalAsync("INT");
            Assert.Equal(0, await closed.EndAsync());
            Assert.DoesNotContain(made["key"]!.GetValue<string>(), closed.ToString() + directory.Log, StringComparison.Ordinal);
        }

        (await directory.RunAsync("audit", "export", "--output", directory.File("log.jsonl"))).Expect(0);
        Assert.Contains(await File.ReadAllLinesAsync(directory.File("log.jsonl")), line => line.Contains("jobs.submit", StringComparison.Ordinal));
        await ChangeAsync(Path.Combine(directory.Path, "gateway.db"));
        var verified = (await directory.RunAsync("audit", "verify", "--json")).Expect(1).Document;
        Assert.False(verified["whole"]!.GetValue<bool>());
    }

    [Fact]
    public async Task The_program_of_the_README_gets_the_bits_of_the_command_by_message_and_by_gRPC()
    {
        using var directory = new DataDirectory();
        (await directory.RunAsync("train", Repository.Job("breast-cancer.yaml"), "--set", "training.epochs=5")).Expect(0);
        var lines = File.ReadLines(Repository.Wdbc).Take(20).Select(line => line[..line.LastIndexOf(',')]).ToArray();
        await File.WriteAllLinesAsync(directory.File("rows.csv"), lines);
        (await directory.RunAsync("predict", "breast-cancer", "--input", directory.File("rows.csv"), "--output", directory.File("expected.json"))).Expect(0);
        var predicted = JsonNode.Parse(await File.ReadAllTextAsync(directory.File("expected.json")))!;
        using var served = NodeProcess.Serve(directory.Path, "--port", "0", "--grpc-port", "0");
        var ready = await served.ReadyAsync();
        foreach (var (way, address) in new[] { ("grpc", ready["grpc"]!.GetValue<string>()), ("message", ready["cluster"]!.GetValue<string>()) })
        {
            using var asking = Process.Start(new ProcessStartInfo("dotnet", [Repository.ClientSample, way, address, "breast-cancer", directory.File("rows.csv")]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var (output, error) = (asking.StandardOutput.ReadToEndAsync(), asking.StandardError.ReadToEndAsync());
            await asking.WaitForExitAsync();
            Assert.True(asking.ExitCode == 0, await error);
            Assert.Equal(Expected(predicted), (await output).TrimEnd().Split('\n'));
        }
        // it is the one that the README shows
        var readme = (await File.ReadAllTextAsync(Path.Combine(Repository.Root, "README.md"))).ReplaceLineEndings("\n");
        Assert.Contains($"```csharp\n{(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "tests", "ClusterNet.Client.Sample", "Program.cs"))).ReplaceLineEndings("\n")}```", readme, StringComparison.Ordinal);
        await served.SignalAsync("TERM");
        Assert.Equal(0, await served.EndAsync());
    }

    [Fact]
    public async Task A_job_that_is_sent_reads_what_lies_in_the_folders_of_the_settings_and_learns_nothing_of_other_files()
    {
        using var directory = new DataDirectory();
        var data = Directory.CreateDirectory(directory.File("wards")).FullName;
        File.Copy(Repository.Wdbc, Path.Combine(data, "wdbc.csv"));
        await File.WriteAllTextAsync(directory.File("secret.csv"), "a,target\nconfidential,0\n");
        File.CreateSymbolicLink(Path.Combine(data, "link.csv"), directory.File("secret.csv"));
        await File.WriteAllTextAsync(directory.File("node.yaml"), "http: {port: 0}\ndata-folders: [wards]\n");
        using var served = NodeProcess.Serve(directory.Path, "--config", directory.File("node.yaml"));
        using var http = new HttpClient { BaseAddress = new Uri((await served.ReadyAsync())["http"]!.GetValue<string>()) };
        var job = await File.ReadAllTextAsync(Repository.Job("breast-cancer.yaml"));
        async Task<(HttpStatusCode Status, string Answer)> SendAsync(string source)
        {
            using var body = new StringContent(job.Replace("builtin:wdbc", source, StringComparison.Ordinal), Encoding.UTF8, "application/yaml");
            using var sent = await http.PostAsync(new Uri("/api/jobs", UriKind.Relative), body);
            return (sent.StatusCode, await sent.Content.ReadAsStringAsync());
        }
        var taken = await SendAsync(Path.Combine(data, "wdbc.csv"));
        Assert.True(taken.Status == HttpStatusCode.Created, taken.Answer);
        foreach (var path in new[] { directory.File("secret.csv"), directory.File("not-there.csv"), Path.Combine(data, "link.csv"), Path.Combine(data, "..", "secret.csv") })
        {
            var refused = await SendAsync(path);
            Assert.Equal(HttpStatusCode.BadRequest, refused.Status);
            Assert.Contains("is in none of the folders that jobs may read here", refused.Answer, StringComparison.Ordinal);
            Assert.DoesNotContain("confidential", refused.Answer, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task It_does_not_listen_where_strangers_could_come_in()
    {
        using var directory = new DataDirectory();
        var refused = (await directory.RunAsync("serve", "--host", "0.0.0.0", "--port", "0", "--grpc-port", "0")).Expect(2);
        Assert.Contains("clusternet keys create", refused.Error, StringComparison.Ordinal);
    }

    /// <summary>The command's predictions as the program prints them.</summary>
    private static IEnumerable<string> Expected(JsonNode document) => document["predictions"]!.AsArray().Select(prediction =>
        $"{prediction!["class"]!.GetValue<string>()} {string.Join(' ', prediction["probabilities"]!.AsObject().Select(probability => float.Parse(probability.Value!.ToJsonString(), CultureInfo.InvariantCulture).ToString("R", CultureInfo.InvariantCulture)))}");

    private static async Task ChangeAsync(string file)
    {
        await using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = file, Pooling = false }.ToString());
        await connection.OpenAsync();
        await using var command = new SqliteCommand("UPDATE audit_log SET subject = 'other' WHERE action = 'jobs.submit' AND outcome = 'done'", connection);
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
    }
}
