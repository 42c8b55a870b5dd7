using System.Collections;
using System.Globalization;
using System.Text;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Jobs;
using CsCheck;

namespace ClusterNet.Node.Tests.Jobs;

/// <summary>Whatever is in a file of settings, it is settings or it is refused with messages that say where.</summary>
[Trait("Category", "Fuzz")]
public sealed class HostileSettingsTests
{
    // as for the gateway's: a few in every run, as many as the variable says in a long one
    private static readonly long _inputs = long.TryParse(Environment.GetEnvironmentVariable("CLUSTERNET_TEST_FUZZ"), CultureInfo.InvariantCulture, out var inputs) ? inputs : 20_000;

    private static readonly string[] _tokens =
    [
        "~", "null", "-1", "0", "1e999", "-1e-400", "NaN", ".inf", "9223372036854775808", "2147483647", "2147483648", "0x10", "1_000", "1s", "1ms", "99999999999d", "-1s", "1.5", "true", "yes", "[]", "{}", "[[]]", "[1, 2",
        "{a: 1}", "\"", "'", ": ", "- ", "? ", "#", "\n", "\n  ", "\t", "\r", "\u0000", "\uFEFF", "\u2028", "\"\\ud800\"", "\"\\U00110000\"", "\"\\xff\"", "\"\\0\"", "&a ", "*a", "!!binary ", "!x ", "<<: *a", "---\n", "...\n", "%YAML 1.2\n", "|\n", ">-\n", "builtin:", "builtin:wdbc", "/",
        "..", "adam", "gru", "cnn", "every", "steps: 1", "epochs: 2", "name", "data", "model", "training", "127.0.0.1", "::1", "0.0.0.0:70000", "sqlite", "postgres://x", "production",
    ];

    private static readonly Gen<(int Kind, int Position, int Length, int Token)[]> _changes = Gen.Select(Gen.Int[0, 5], Gen.Int[0, 16383], Gen.Int[1, 40], Gen.Int[0, _tokens.Length - 1]).Array[0, 6];

    [Fact]
    public void A_job_file_is_a_job_or_refused() => Changed([.. Directory.GetFiles(Repository.Jobs, "*.yaml").Order(StringComparer.Ordinal).Select(File.ReadAllText)]).Sample(
        text => Accept(() =>
        {
            // what is taken can be kept
            var kept = JobSpecJson.Serialize(JobFile.Parse(text, "job.yaml"));
            Assert.Equal(kept, JobSpecJson.Serialize(JobSpecJson.Deserialize(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(kept)))));
        }),
        iter: _inputs);

    [Fact]
    public void A_serving_file_says_how_to_serve_or_is_refused() => Changed(
        File.ReadAllText(Path.Combine(Repository.Root, "config", "serving.yaml")),
        """
        defaults: {timeout: 2s, max-batch-size: 32}
        models:
          tumor:
            replicas: 2
            placement: [node-1, node-2]
            max-queue-delay: 1.5ms
            queue: {requests: 10}
            traffic:
              weights: {production: 95, 7: 5}
              shadows: [staging]
              rollback: {canary: 7, max-error-rate: 0.1, max-latency: 100ms, window: 2m}
        """).Sample(
        text => Accept(() => ServingFile.Read(text, "serving.yaml")),
        iter: _inputs);

    [Fact]
    public void A_node_file_says_how_to_run_or_is_refused()
    {
        using var folder = new TemporaryFolder();
        Changed([.. Directory.GetFiles(Path.Combine(Repository.Root, "config"), "node*.yaml").Order(StringComparer.Ordinal).Select(File.ReadAllText)]).Sample(
            text =>
            {
                var path = folder.File(string.Create(CultureInfo.InvariantCulture, $"{Environment.CurrentManagedThreadId}.yaml"), text);
                Accept(() => NodeSettings.ReadAll(path, new Hashtable(), [], folder.Path));
            },
            iter: _inputs / 4);
    }

    private static void Accept(Action read)
    {
        try
        {
            read();
        }
        catch (InputException refused)
        {
            Assert.NotEmpty(refused.Faults);
            Assert.All(refused.Faults, fault => Assert.NotEqual("", fault.Message));
        }
    }

    /// <summary>A text with a few changes: values and names replaced, cuts, repetitions and tokens in the wrong place. Comments are left out of it first, they are most of a shipped file.</summary>
    private static Gen<string> Changed(params string[] texts)
    {
        string[] bare = [.. texts.Select(text => string.Join('\n', text.Split('\n').Where(line => !line.TrimStart().StartsWith('#'))))];
        return Gen.Select(Gen.Int[0, bare.Length - 1], _changes, (which, changes) =>
        {
            var text = bare[which];
            foreach (var (kind, position, length, token) in changes)
            {
                if (text.Length == 0)
                    break;
                var at = position % text.Length;
                var end = Math.Min(text.Length, at + length);
                text = kind switch
                {
                    0 => text.Insert(at, _tokens[token]),
                    1 => text.Remove(at, end - at),
                    2 => text.Insert(at, text[at..end]),
                    // the value behind a colon, or the name in front of it
                    3 when text.IndexOf(": ", at, StringComparison.Ordinal) is > 0 and var colon => text[..(colon + 2)] + _tokens[token] + text[LineEnd(text, colon)..],
                    4 when text.IndexOf(':', at) is > 0 and var colon => text[..(text.LastIndexOf('\n', colon) + 1)] + _tokens[token] + text[colon..],
                    5 when length == 1 => text[..at],
                    _ => text,
                };
            }
            return text;
        });
    }

    private static int LineEnd(string text, int from) => text.IndexOf('\n', from) is >= 0 and var end ? end : text.Length;
}
