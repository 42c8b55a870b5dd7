using System.Collections.Frozen;
using System.Data;
using System.Data.Common;
using System.Globalization;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Store;

namespace ClusterNet.Gateway.Access;

/// <summary>The API keys of a store. What another process changes there is seen within a second.</summary>
/// <param name="store">where they are</param>
/// <param name="clock">for creation, expiry and revocation</param>
public sealed class ApiKeyStore(GatewayStore store, TimeProvider clock)
{
    private const int MaxKeys = 10_000;
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(1);

    /// <summary>For a store to say which keys there are: a request with a key is not held longer by one that stands still, and is not let in.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private Snapshot? _known;
    private Task<Snapshot>? _reading;
    private int _changes;

    /// <summary>All of them, the oldest first.</summary>
    /// <exception cref="ClusterException">the store does not answer</exception>
    public IReadOnlyList<ApiKey> List() => Try(connection =>
    {
        using var command = GatewayStore.Command(connection, "SELECT id, name, scopes, created, expires, revoked, hash FROM gateway_keys ORDER BY created, id");
        using var reader = command.ExecuteReader();
        var keys = new List<ApiKey>();
        while (reader.Read())
        {
            keys.Add(new ApiKey(
                reader.GetString(0),
                reader.GetString(1),
                reader.GetString(2).Split(','),
                Moment(reader.GetInt64(3)),
                reader.IsDBNull(4) ? null : Moment(reader.GetInt64(4)),
                reader.IsDBNull(5) ? null : Moment(reader.GetInt64(5)))
            {
                Hash = reader.GetFieldValue<byte[]>(6),
            });
        }
        return keys;
    });

    /// <summary>A new key and its text, which is kept nowhere.</summary>
    /// <param name="name">whose it is</param>
    /// <param name="scopes">what it allows</param>
    /// <param name="lifetime">how long it is good; null for ever</param>
    /// <exception cref="InputException">a name, a scope or a lifetime that can't be, or too many keys</exception>
    /// <exception cref="ClusterException">the store does not answer</exception>
    public (ApiKey Key, string Text) Create(string name, IReadOnlyList<string> scopes, TimeSpan? lifetime)
    {
        var now = Moment(clock.GetUtcNow().ToUnixTimeMilliseconds());
        var created = ApiKey.Create(name, scopes, now, now + lifetime);
        Try(connection =>
        {
            using var count = GatewayStore.Command(connection, "SELECT COUNT(*) FROM gateway_keys");
            if (Convert.ToInt64(count.ExecuteScalar(), CultureInfo.InvariantCulture) >= MaxKeys)
                throw new InputException("keys", $"there are {MaxKeys} keys already, as many as there can be");
            using var command = GatewayStore.Command(connection, "INSERT INTO gateway_keys (id, name, scopes, created, expires, revoked, hash) VALUES (@id, @name, @scopes, @created, @expires, NULL, @hash)");
            GatewayStore.Add(command, "id", DbType.String, created.Key.Id);
            GatewayStore.Add(command, "name", DbType.String, created.Key.Name);
            GatewayStore.Add(command, "scopes", DbType.String, string.Join(',', created.Key.Scopes));
            GatewayStore.Add(command, "created", DbType.Int64, created.Key.Created.ToUnixTimeMilliseconds());
            GatewayStore.Add(command, "expires", DbType.Int64, created.Key.Expires?.ToUnixTimeMilliseconds());
            GatewayStore.Add(command, "hash", DbType.Binary, created.Key.Hash);
            return command.ExecuteNonQuery();
        });
        Forget();
        return created;
    }

    /// <summary>Has a key refused from now on. One that is already stays as it is.</summary>
    /// <param name="id">of the key, or its name where only one good key has it</param>
    /// <exception cref="InputException">there is no such key, or several</exception>
    /// <exception cref="ClusterException">the store does not answer</exception>
    public ApiKey Revoke(string id)
    {
        var now = clock.GetUtcNow();
        var all = List();
        var matches = all.Where(key => key.Id == id).ToArray();
        if (matches.Length == 0)
            matches = [.. all.Where(key => key.Name == id && key.IsGoodAt(now))];
        if (matches.Length == 0)
            throw new InputException([new Fault("key", $"there is no key '{id}'; 'clusternet keys list' names those there are") { Found = id, Candidates = [.. all.Select(key => key.Id), .. all.Select(key => key.Name)] }]);
        if (matches.Length > 1)
            throw new InputException("key", $"{matches.Length} keys are called '{id}': give the id of one of {string.Join(", ", matches.Take(5).Select(key => key.Id))}");
        var key = matches[0];
        if (key.Revoked is not null)
            return key;
        Try(connection =>
        {
            using var command = GatewayStore.Command(connection, "UPDATE gateway_keys SET revoked = @revoked WHERE id = @id AND revoked IS NULL");
            GatewayStore.Add(command, "revoked", DbType.Int64, now.ToUnixTimeMilliseconds());
            GatewayStore.Add(command, "id", DbType.String, key.Id);
            return command.ExecuteNonQuery();
        });
        Forget();
        return key with { Revoked = Moment(now.ToUnixTimeMilliseconds()) };
    }

    /// <summary>The key that a text is; null where it is none, or one that is refused.</summary>
    /// <exception cref="ClusterException">the store does not answer, or not soon enough</exception>
    internal async ValueTask<ApiKey?> FindAsync(string text, CancellationToken cancel)
    {
        if (ApiKey.IdOf(text) is not { } id)
            return null;
        var now = clock.GetUtcNow();
        var known = _known;
        if (known is null || now - known.Read > Freshness || now < known.Read)
            known = await RefreshAsync(now, cancel).ConfigureAwait(false);
        return known.Keys.GetValueOrDefault(id) is { } key && key.Matches(text) && key.IsGoodAt(now) ? key : null;
    }

    /// <summary>Who comes while the keys are being read gets what that reading gives.</summary>
    private async Task<Snapshot> RefreshAsync(DateTimeOffset now, CancellationToken cancel)
    {
        Task<Snapshot> reading;
        lock (_gate)
        {
            if (_known is { } known && now - known.Read <= Freshness && now >= known.Read)
                return known;
            reading = _reading is { IsCompleted: false } running ? running : _reading = ReadAsync(now, _changes);
        }
        try
        {
            return await reading.WaitAsync(Patience, cancel).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new ClusterException(string.Create(CultureInfo.InvariantCulture, $"the gateway's store ({store.Description}) has not said for {Patience.TotalSeconds:0} s which keys there are, so nobody with a key is let in"));
        }
    }

    private Task<Snapshot> ReadAsync(DateTimeOffset now, int changes) => Task.Run(() =>
    {
        var read = new Snapshot(now, List().ToFrozenDictionary(key => key.Id));
        lock (_gate)
        {
            if (changes == _changes)
                _known = read;
        }
        return read;
    });

    /// <summary>What was read before a change, or is being read, does not know of it.</summary>
    private void Forget()
    {
        lock (_gate)
        {
            _changes++;
            (_known, _reading) = (null, null);
        }
    }

    private T Try<T>(Func<DbConnection, T> body)
    {
        try
        {
            using var connection = store.Connect();
            return body(connection);
        }
        catch (Exception exception) when (exception is DbException or TimeoutException)
        {
            throw new ClusterException($"the gateway's store ({store.Description}) does not answer: {StoreFault.ReasonOf(exception)}", exception);
        }
    }

    private static DateTimeOffset Moment(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    private sealed record Snapshot(DateTimeOffset Read, FrozenDictionary<string, ApiKey> Keys);
}
