using System.Globalization;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Models;

/// <summary>What the registry does about a command: journal the events, apply them, then answer.</summary>
/// <param name="Events">in order; empty where nothing changes</param>
/// <param name="Reply">to whoever sent the command</param>
internal sealed record RegistryDecision(IReadOnlyList<object> Events, object Reply);

/// <summary>
/// The versions of all models. Decides what a command does, and applies what was journalled. A number belongs to the job that reserved it for ever: neither a failed job nor a
/// deletion gives it back.
/// </summary>
internal sealed partial class ModelRegistryState
{
    private readonly SortedDictionary<string, StateEntry> _models = new(StringComparer.Ordinal);
    private readonly Dictionary<ModelVersionId, StoredVersion> _weightsToDelete = [];

    /// <summary>Deleted versions whose weights may still be in the store.</summary>
    public IReadOnlyCollection<StoredVersion> WeightsToDelete => _weightsToDelete.Values;

    public RegistryDecision Decide(Commands.Reserve reserve)
    {
        var entry = _models.GetValueOrDefault(reserve.Model);
        if (entry is not null && entry.Reserved.TryGetValue((reserve.Job, reserve.Step), out var taken))
            return new([], new Replies.Reserved(new ModelVersionId(reserve.Model, taken)));
        var version = new ModelVersionId(reserve.Model, (entry?.LastNumber ?? 0) + 1);
        return new([new Events.VersionReserved(version, reserve.Job) { Step = reserve.Step }], new Replies.Reserved(version));
    }

    public RegistryDecision Decide(Commands.Register register)
    {
        var (id, job) = (register.Stored.Version.Id, register.Stored.Version.Job);
        if (_models.GetValueOrDefault(id.Model) is not { } entry || !entry.Reserved.Any(reserved => reserved.Key.Job == job && reserved.Value == id.Version))
            return new([], new Replies.Unknown(new Fault("version", $"{id} was not reserved for job {job}")));
        // a repeat after the version was deleted must not bring it back: its weights are gone
        if (entry.Versions.ContainsKey(id.Version) || entry.Deleted.Contains(id.Version))
            return new([], new Replies.Registered(id));
        return new([new Events.VersionRegistered(register.Stored)], new Replies.Registered(id));
    }

    /// <param name="delete">what is to go</param>
    /// <param name="used">versions that answer somewhere</param>
    public RegistryDecision Decide(Commands.Delete delete, IReadOnlySet<ModelVersionId> used)
    {
        if (Missing(delete.Model, delete.Version) is { } fault)
            return new([], new Replies.Unknown(fault));
        ModelVersionId[] gone =
        [
            .. _models[delete.Model].Versions.Keys.Where(number => delete.Version is null || number == delete.Version).Select(number => new ModelVersionId(delete.Model, number)),
        ];
        var entry = _models[delete.Model];
        if (gone.SelectMany(version => InUse(entry, version, used)).ToArray() is { Length: > 0 } faults)
            return new([], new Replies.Refused(faults));
        // labels that nothing depends on go with their version
        var labels = entry.Labels.Where(label => gone.Any(version => version.Version == label.Value)).Select(label => new Events.LabelChanged(delete.Model, label.Key, null));
        return new([.. labels, .. gone.Select(version => new Events.VersionDeleted(version))], new Replies.Deleted(gone));
    }

    public object Answer(Queries.Find find)
    {
        if (Missing(find.Model, find.Version) is { } fault)
            return new Replies.Unknown(fault);
        var versions = _models[find.Model].Versions;
        if (find is { Version: null, Label: { } label })
        {
            return _models[find.Model].Labels.TryGetValue(label, out var labelled)
                ? FoundOf(_models[find.Model], labelled)
                : new Replies.Unknown(NoLabel(find.Model, label));
        }
        return FoundOf(_models[find.Model], find.Version ?? versions.Keys.Last());
    }

    public object Answer(Queries.IsThere query) => Answer(new Queries.Find(query.Model, query.Version.Version)) switch
    {
        Replies.Found found => new Replies.There(query.Version) { Arithmetic = found.Arithmetic },
        var other => other,
    };

    public Replies.Models List() => new([.. _models.Values.SelectMany(entry => entry.Versions.Values).Select(stored => stored.Version)]);

    public void Apply(object @event)
    {
        switch (@event)
        {
            case Events.VersionReserved reserved:
                var entry = EntryOf(reserved.Version.Model);
                entry.LastNumber = Math.Max(entry.LastNumber, reserved.Version.Version);
                entry.Reserved[(reserved.Job, reserved.Step)] = reserved.Version.Version;
                break;
            case Events.VersionRegistered { Stored: var stored }:
                EntryOf(stored.Version.Id.Model).Versions[stored.Version.Id.Version] = stored;
                break;
            case Events.VersionDeleted { Version: var deleted }:
                var from = EntryOf(deleted.Model);
                if (from.Versions.Remove(deleted.Version, out var weights))
                    _weightsToDelete[deleted] = weights;
                from.Deleted.Add(deleted.Version);
                from.Arithmetics.Remove(deleted.Version);
                break;
            case Events.WeightsDeleted { Version: var cleared }:
                _weightsToDelete.Remove(cleared);
                break;
            case Events.LabelChanged { Version: { } labelled } changed:
                EntryOf(changed.Model).Labels[changed.Label] = labelled;
                break;
            case Events.LabelChanged changed:
                EntryOf(changed.Model).Labels.Remove(changed.Label);
                break;
            case Events.ArithmeticNoted { Version: var first, Arithmetic: var arithmetic }:
                EntryOf(first.Model).Arithmetics.TryAdd(first.Version, arithmetic);
                break;
            case Events.TrafficChanged changed:
                EntryOf(changed.Model).Traffic = changed.Traffic;
                break;
            default:
                throw new ArgumentException($"{@event.GetType().Name} is no event of the registry", nameof(@event));
        }
    }

    private StateEntry EntryOf(string model)
    {
        if (!_models.TryGetValue(model, out var entry))
            _models.Add(model, entry = new StateEntry());
        return entry;
    }

    private Fault? Missing(string model, int? version)
    {
        if (_models.GetValueOrDefault(model) is not { Versions.Count: > 0 } entry)
        {
            string[] known = [.. _models.Where(pair => pair.Value.Versions.Count > 0).Select(pair => pair.Key)];
            return known.Length == 0
                ? new Fault("model", $"there is no model '{model}': no model is registered yet, a training job registers one when it completes")
                : Fault.Unknown("model", model, known);
        }
        if (version is not { } number || entry.Versions.ContainsKey(number))
            return null;
        var what = entry.Deleted.Contains(number) ? "was deleted" : "does not exist";
        return new Fault("version", $"version {number.ToString(CultureInfo.InvariantCulture)} of model '{model}' {what}; it has {Listed(entry.Versions.Keys)}");
    }

    private static string Listed(IEnumerable<int> numbers)
    {
        string[] words = [.. numbers.Select(number => number.ToString(CultureInfo.InvariantCulture))];
        return words.Length switch
        {
            1 => $"version {words[0]}",
            <= 20 => $"versions {string.Join(", ", words)}",
            _ => $"versions {words[0]} to {words[^1]}, not all of them",
        };
    }

    private sealed class StateEntry
    {
        public int LastNumber { get; set; }

        public Dictionary<(JobId Job, long? Step), int> Reserved { get; } = [];

        public SortedDictionary<int, StoredVersion> Versions { get; } = [];

        public HashSet<int> Deleted { get; } = [];

        /// <summary>What each version came to where it was loaded first.</summary>
        public Dictionary<int, string> Arithmetics { get; } = [];

        public SortedDictionary<string, int> Labels { get; } = new(StringComparer.Ordinal);

        public TrafficSpec Traffic { get; set; } = TrafficSpec.Default;
    }
}
