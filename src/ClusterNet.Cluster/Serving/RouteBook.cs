using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Serving;

/// <summary>Where a request goes, or why nowhere.</summary>
/// <param name="Version">the version that answers; null where there is none</param>
/// <param name="Fault">why there is none</param>
/// <param name="Kind">what that is to the caller</param>
/// <param name="Shadows">versions that compute it, too</param>
internal sealed record Route(ModelVersionId? Version, Fault? Fault, ServingProtocol.FailureKind Kind, IReadOnlyList<ModelVersionId> Shadows);

/// <summary>
/// Which versions answer, as one router sees it. A model in use keeps the versions it has until those that are to follow are loaded and warm; a version that can't be loaded never gets a
/// request while another is there.
/// </summary>
internal sealed class RouteBook
{
    /// <summary>How long after its last request a model counts as in use.</summary>
    public static readonly TimeSpan InUse = TimeSpan.FromMinutes(10);

    /// <summary>How long after its last request a version counts as in use.</summary>
    public static readonly TimeSpan Recently = TimeSpan.FromMinutes(1);

    private readonly Dictionary<string, ModelRoutes> _models = new(StringComparer.Ordinal);

    /// <summary>Of the registry's table; -1 before there is one.</summary>
    public long Revision { get; private set; } = -1;

    /// <summary>Whether the registry has been heard of.</summary>
    public bool IsKnown => Revision >= 0;

    /// <summary>Whether a version is asked that <see cref="Used"/> did not name when it was called last.</summary>
    public bool HasNewUse { get; private set; }

    /// <summary>Names of all models.</summary>
    public IReadOnlyList<string> Models => [.. _models.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The registry's word on a model; null where there is none.</summary>
    public ModelEntry? EntryOf(string model) => _models.GetValueOrDefault(model)?.Entry;

    /// <summary>Takes over what the registry says.</summary>
    public void Update(long revision, IReadOnlyList<ModelEntry> models, TimeSpan now)
    {
        Revision = revision;
        foreach (var gone in _models.Keys.Except(models.Select(entry => entry.Model)).ToArray())
            _models.Remove(gone);
        foreach (var entry in models)
        {
            if (!_models.TryGetValue(entry.Model, out var routes))
                _models.Add(entry.Model, routes = new ModelRoutes(entry));
            routes.Entry = entry;
            routes.Slots[""].Want(TrafficRules.Shares(entry), entry, now);
            foreach (var gone in routes.Slots.Keys.Where(name => name.Length > 0 && !entry.Labels.ContainsKey(name)).ToArray())
                routes.Slots.Remove(gone);
            foreach (var (label, number) in entry.Labels)
                routes.SlotOf(label).Want([(number, 1)], entry, now);
        }
    }

    /// <summary>Decides for one request.</summary>
    /// <param name="model">which</param>
    /// <param name="version">a number, a label, or null for the model's traffic</param>
    /// <param name="key">see <see cref="PredictRequest.Key"/></param>
    /// <param name="draw">0 to below 1, by chance; where there is no key</param>
    /// <param name="now">counts as use</param>
    public Route Decide(string model, string? version, string? key, double draw, TimeSpan now)
    {
        if (!_models.TryGetValue(model, out var routes))
        {
            return Nowhere(_models.Count == 0
                ? new Fault("model", $"there is no model '{model}': no model is registered yet, a training job registers one when it completes")
                : Fault.Unknown("model", model, Models));
        }
        if (routes.Entry.Traffic.IsUnloaded)
            return new Route(null, new Fault(model, "was unloaded: load it again first"), ServingProtocol.FailureKind.Unavailable, []);
        if (version is null)
        {
            var slot = routes.Slots[""];
            slot.Used = now;
            return To(model, Pick(slot.Now, key is null ? draw : PlaceOf(model, key)), routes, now, true);
        }
        if (routes.Slots.TryGetValue(version, out var labelled) && version.Length > 0)
        {
            labelled.Used = now;
            return To(model, labelled.Now[0].Version, routes, now, false);
        }
        return routes.Entry.NumberOf(version) is { } number ? To(model, number, routes, now, false) : Nowhere(NoVersion(routes.Entry, version));
    }

    /// <summary>Versions that are to be loaded before requests go there.</summary>
    public IReadOnlyList<ModelVersionId> ToPrepare() =>
        [.. _models.SelectMany(pair => pair.Value.Slots.Values.SelectMany(slot => slot.Lacking).Distinct().Select(number => new ModelVersionId(pair.Key, number)))];

    /// <summary>The version is loaded wherever it is to be.</summary>
    /// <returns>versions that nothing leads to any more</returns>
    public IReadOnlyList<ModelVersionId> Prepared(ModelVersionId version)
    {
        if (!_models.TryGetValue(version.Model, out var routes))
            return [];
        var before = Led(routes);
        foreach (var slot in routes.Slots.Values)
            slot.Prepared(version.Version);
        return [.. before.Except(Led(routes)).Select(number => new ModelVersionId(version.Model, number))];
    }

    /// <summary>The version can't be loaded: what answers now goes on.</summary>
    public void Failed(ModelVersionId version, string reason)
    {
        if (_models.TryGetValue(version.Model, out var routes))
            routes.Failures[version.Version] = reason;
    }

    /// <summary>Why a version does not follow; null where nothing is wrong.</summary>
    public string? FailureOf(ModelVersionId version) => _models.TryGetValue(version.Model, out var routes) ? routes.Failures.GetValueOrDefault(version.Version) : null;

    /// <summary>Whether any traffic, label or shadow leads to a version.</summary>
    public bool LeadsTo(ModelVersionId version) => _models.TryGetValue(version.Model, out var routes) && Led(routes).Contains(version.Version);

    /// <summary>The versions that were asked recently.</summary>
    public IReadOnlyList<ModelVersionId> Used(TimeSpan now)
    {
        HasNewUse = false;
        var used = new List<ModelVersionId>();
        foreach (var (model, routes) in _models)
        {
            foreach (var (number, asked) in routes.Asked)
            {
                if (now - asked > Recently)
                    routes.Asked.Remove(number);
                else
                    used.Add(new ModelVersionId(model, number));
            }
        }
        return used;
    }

    /// <summary>The versions that answer for a model now, and their shares.</summary>
    public IReadOnlyList<(int Version, double Share)> SharesOf(string model) => _models.TryGetValue(model, out var routes) ? routes.Slots[""].Now : [];

    /// <summary>Where a key stands among all: 0 to below 1, the same everywhere and for ever.</summary>
    public static double PlaceOf(string model, string key)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{model}\0{key}"));
        return (BinaryPrimitives.ReadUInt64BigEndian(hash) >> 11) * (1.0 / (1UL << 53));
    }

    /// <summary>The version at a place among shares.</summary>
    public static int Pick(IReadOnlyList<(int Version, double Share)> shares, double place)
    {
        var sum = 0.0;
        foreach (var (version, share) in shares)
        {
            sum += share;
            if (place < sum)
                return version;
        }
        return shares[^1].Version;
    }

    private static HashSet<int> Led(ModelRoutes routes) =>
    [
        .. routes.Slots.Values.SelectMany(slot => slot.Now.Concat(slot.Wanted)).Select(share => share.Version),
        .. routes.Entry.Traffic.Shadows.Select(routes.Entry.NumberOf).OfType<int>(),
    ];

    private Route To(string model, int number, ModelRoutes routes, TimeSpan now, bool isShadowed)
    {
        ref var asked = ref CollectionsMarshal.GetValueRefOrAddDefault(routes.Asked, number, out var isKnown);
        HasNewUse |= !isKnown;
        asked = now;
        return new(
            new ModelVersionId(model, number),
            null,
            default,
            !isShadowed || routes.Entry.Traffic.Shadows.Count == 0
                ? []
                : [.. routes.Entry.Traffic.Shadows.Select(routes.Entry.NumberOf).OfType<int>().Distinct().Where(shadow => shadow != number).Select(shadow => new ModelVersionId(model, shadow))]);
    }

    private static Route Nowhere(Fault fault) => new(null, fault, ServingProtocol.FailureKind.UnknownModel, []);

    private static Fault NoVersion(ModelEntry entry, string version)
    {
        string[] known = [.. entry.Labels.Keys, .. entry.Versions.Select(number => number.ToString(CultureInfo.InvariantCulture))];
        return new Fault("version", $"model '{entry.Model}' has no version or label '{version}'; it has {string.Join(", ", known.Take(20))}") { Found = version, Candidates = known };
    }

    /// <summary>One way to a version: the traffic, or a label.</summary>
    private sealed class Slot(IReadOnlyList<(int Version, double Share)> now)
    {
        private readonly HashSet<int> _ready = [];

        /// <summary>What answers.</summary>
        public IReadOnlyList<(int Version, double Share)> Now { get; private set; } = now;

        /// <summary>What is to.</summary>
        public IReadOnlyList<(int Version, double Share)> Wanted { get; private set; } = now;

        /// <summary>The last request that came this way; null for none.</summary>
        public TimeSpan? Used { get; set; }

        /// <summary>What is missing for that.</summary>
        public IEnumerable<int> Lacking => Wanted.Select(share => share.Version).Where(version => !_ready.Contains(version) && Now.All(share => share.Version != version));

        public void Want(IReadOnlyList<(int Version, double Share)> wanted, ModelEntry entry, TimeSpan now)
        {
            if (!wanted.SequenceEqual(Wanted))
                _ready.Clear();
            Wanted = wanted;
            // nobody waits for a model that is not in use, and what was deleted answers no more
            if (Used is not { } used || now - used > InUse || Now.Any(share => !entry.Versions.Contains(share.Version)) || !Lacking.Any())
                Now = Wanted;
        }

        public void Prepared(int version)
        {
            _ready.Add(version);
            if (!Lacking.Any())
                Now = Wanted;
        }
    }

    private sealed class ModelRoutes(ModelEntry entry)
    {
        public ModelEntry Entry { get; set; } = entry;

        public Dictionary<string, Slot> Slots { get; } = new(StringComparer.Ordinal) { [""] = new Slot(TrafficRules.Shares(entry)) };

        public Dictionary<int, string> Failures { get; } = [];

        /// <summary>When a version was asked last.</summary>
        public Dictionary<int, TimeSpan> Asked { get; } = [];

        public Slot SlotOf(string label)
        {
            if (!Slots.TryGetValue(label, out var slot))
                Slots.Add(label, slot = new Slot([(Entry.Labels[label], 1)]));
            return slot;
        }
    }
}
