using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Access;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;

namespace ClusterNet.Node.Commands;

/// <summary><c>keys create|list|revoke</c>: who may use a gateway. Also while one runs.</summary>
internal static class KeysCommand
{
    private const double MostDays = 36_500;

    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var store = new GatewayStoreOptions();
        var name = new Option<string>("--name") { Description = "Whose key it is", HelpName = "NAME", Required = true };
        var scopes = new Option<string>("--scopes") { Description = "What it allows, with commas: predict, operate, admin", HelpName = "SCOPE,...", Required = true };
        var days = new Option<string?>("--days") { Description = "How long it is good [default: for ever]", HelpName = "DAYS" };
        var create = store.AddTo(new Command("create", "Make a key and show it, once: only a hash of it is kept") { name, scopes, days });
        line.On(create, async (parse, run) =>
        {
            using var opened = store.Open(parse, run);
            var keys = new ApiKeyStore(opened, run.Host.Clock);
            var (owner, lifetime) = (parse.GetRequiredValue(name), Lifetime(parse.GetValue(days)));
            var wanted = parse.GetRequiredValue(scopes).Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            var (key, text) = await GatewayStoreOptions.ActAsync(opened, run.Host.Clock, "keys.create", owner, () => keys.Create(owner, wanted, lifetime), made => $"{made.Key.Name} ({made.Key.Id})");
            if (run.Json)
            {
                var document = Document(key);
                document["key"] = text;
                run.Print(document);
                return ExitCode.Done;
            }
            run.Screen.Line(text);
            run.Screen.ErrorLine($"This is the key of {key.Name} ({string.Join(", ", key.Scopes)}{(key.Expires is { } expires ? $", until {Figures.Moment(expires)}" : "")}). It is shown now and never again.");
            return ExitCode.Done;
        });

        var list = store.AddTo(new Command("list", "List all keys, without the keys themselves"));
        line.On(list, (parse, run) =>
        {
            using var opened = store.Open(parse, run);
            var keys = new ApiKeyStore(opened, run.Host.Clock);
            List(run, keys.List());
            return Task.FromResult(ExitCode.Done);
        });

        var revoked = new Argument<string>("KEY") { Description = "The key's id, or its name where only one good key has it" };
        var revoke = store.AddTo(new Command("revoke", "Have a key refused from now on; gateways that run know within a second") { revoked });
        line.On(revoke, async (parse, run) =>
        {
            using var opened = store.Open(parse, run);
            var keys = new ApiKeyStore(opened, run.Host.Clock);
            var id = parse.GetRequiredValue(revoked);
            var key = await GatewayStoreOptions.ActAsync(opened, run.Host.Clock, "keys.revoke", ApiKey.IsKey(id) ? "a key's text" : id, () => keys.Revoke(id), made => $"{made.Name} ({made.Id})");
            if (run.Json)
                run.Print(Document(key));
            else
                run.Screen.Line($"The key {key.Id} of {key.Name} is revoked.");
            return ExitCode.Done;
        });
        return new Command("keys", "Make, list and revoke the API keys of a gateway") { create, list, revoke };
    }

    private static TimeSpan? Lifetime(string? days)
    {
        if (days is null)
            return null;
        return double.TryParse(days, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= MostDays
            ? TimeSpan.FromDays(number)
            : throw new InputException("--days", FormattableString.Invariant($"'{days}' is not a number of days within 0 to {MostDays}"));
    }

    private static void List(CommandRun run, IReadOnlyList<ApiKey> keys)
    {
        if (run.Json)
        {
            run.Print(new JsonObject { ["keys"] = new JsonArray([.. keys.Select(key => (JsonNode)Document(key))]) });
            return;
        }
        if (keys.Count == 0)
        {
            run.Screen.Line("No keys yet. Make one with: clusternet keys create --name NAME --scopes predict");
            return;
        }
        var now = run.Host.Clock.GetUtcNow();
        var table = Tables.With("id", "name", "scopes", "created", "state");
        foreach (var key in keys)
        {
            table.Row(
                key.Id,
                key.Name,
                string.Join(", ", key.Scopes),
                Figures.Moment(key.Created),
                key.Revoked is { } revoked ? $"revoked {Figures.Moment(revoked)}" : key.Expires is not { } expires ? "good" : key.IsGoodAt(now) ? $"good until {Figures.Moment(expires)}" : $"expired {Figures.Moment(expires)}");
        }
        run.Screen.Out.Write(table);
    }

    private static JsonObject Document(ApiKey key) => new()
    {
        ["id"] = key.Id,
        ["name"] = key.Name,
        ["scopes"] = JsonDocuments.Texts(key.Scopes),
        ["created"] = key.Created.ToString("O"),
        ["expires"] = key.Expires?.ToString("O"),
        ["revoked"] = key.Revoked?.ToString("O"),
    };
}
