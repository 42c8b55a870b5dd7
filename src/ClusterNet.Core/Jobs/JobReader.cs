using System.Text;
using ClusterNet.Core.Faults;

namespace ClusterNet.Core.Jobs;

/// <summary>
/// Turns the settings of a job file into a <see cref="JobSpec"/>, or into all that is wrong with them at once. Places of faults are paths such as
/// <c>training.optimizer.kind</c>; whoever read the file knows their lines. <see cref="JobWriter"/> is the inverse.
/// </summary>
public static partial class JobReader
{
    /// <summary>The most characters of a job's name: its id adds a number to it.</summary>
    public const int MaxNameLength = 80;

    private const int MaxDepth = 32;
    private const int MaxValues = 100_000;
    private const int MaxText = 4096;

    /// <summary>Reads a job.</summary>
    /// <param name="root">the whole file</param>
    /// <param name="baseDirectory">what relative sources are relative to: the job file's folder</param>
    /// <param name="defaultName">the job's name where the file gives none</param>
    /// <exception cref="InputException">the settings are not those of a job; carries every fault</exception>
    public static JobSpec Read(SettingValue.Map root, string baseDirectory, string? defaultName = null)
    {
        var faults = new List<Fault>();
        var spec = Read(root, baseDirectory, isElsewhere: false, defaultName, faults);
        return faults.Count == 0 ? spec : throw new InputException(faults);
    }

    /// <summary>Reads a job; what it gives is only to be used where <paramref name="faults"/> stayed empty.</summary>
    /// <param name="root">the whole file</param>
    /// <param name="baseDirectory">what relative sources are relative to: the job file's folder</param>
    /// <param name="isElsewhere">whether other machines read the data: it is not looked for here</param>
    /// <param name="defaultName">the job's name where the file gives none</param>
    /// <param name="faults">receives all that is wrong</param>
    public static JobSpec Read(SettingValue.Map root, string baseDirectory, bool isElsewhere, string? defaultName, ICollection<Fault> faults)
    {
        ArgumentNullException.ThrowIfNull(baseDirectory);
        return ReadWith(root, new SourceFolder(baseDirectory, isElsewhere), defaultName, faults);
    }

    /// <summary>All that is wrong with a spec that a program put together, as if it had come from a file; empty where nothing is.</summary>
    public static IReadOnlyList<Fault> Check(JobSpec spec)
    {
        var faults = new List<Fault>();
        ReadWith(JobWriter.Write(spec), null, null, faults);
        return faults;
    }

    /// <summary>Reads what was stored: the source is taken as it stands, and rules between settings, which may have changed since, are not applied.</summary>
    internal static JobSpec ReadStored(SettingValue.Map root, ICollection<Fault> faults) => ReadParts(root, null, null, faults);

    /// <summary>As <see cref="ReadStored"/>, of a model by itself.</summary>
    internal static ModelSpec ReadStoredModel(SettingValue.Map settings, ICollection<Fault> faults) => ReadModel(Bearable(settings, "model", faults));

    /// <summary>As <see cref="ReadStored"/>, of a training by itself.</summary>
    internal static TrainingSpec ReadStoredTraining(SettingValue.Map settings, ICollection<Fault> faults) => ReadTraining(Bearable(settings, "training", faults), null);

    /// <summary>As <see cref="ReadStored"/>, of a loss by itself.</summary>
    internal static LossSpec ReadStoredLoss(SettingValue.Map settings, ICollection<Fault> faults) => ReadLoss(Bearable(settings, "loss", faults));

    private static SettingReader Bearable(SettingValue.Map settings, string path, ICollection<Fault> faults) =>
        new(HasBearableSize(settings, faults) ? settings.Entries : new Dictionary<string, SettingValue>(), path, faults);

    private static JobSpec ReadWith(SettingValue.Map root, SourceFolder? folder, string? defaultName, ICollection<Fault> faults)
    {
        var spec = ReadParts(root, folder, defaultName, faults);
        // a setting that is wrong by itself was replaced by its default, of which nothing more is to be said
        var broken = faults.Select(fault => fault.Place).ToList();
        var conflicts = new List<Fault>();
        JobRules.Apply(spec, conflicts);
        foreach (var conflict in conflicts.Where(conflict => !broken.Exists(place => IsWithin(conflict.Place, place))))
            faults.Add(conflict);
        return spec;

        static bool IsWithin(string place, string outer) =>
            place.StartsWith(outer, StringComparison.Ordinal) && (place.Length == outer.Length || place[outer.Length] is '.' or '[');
    }

    private static JobSpec ReadParts(SettingValue.Map root, SourceFolder? folder, string? defaultName, ICollection<Fault> faults)
    {
        ArgumentNullException.ThrowIfNull(root);
        ArgumentNullException.ThrowIfNull(faults);
        if (!HasBearableSize(root, faults))
            root = new SettingValue.Map(new Dictionary<string, SettingValue>());
        var reader = new SettingReader(root.Entries, "", faults);
        var name = reader.Text("name", defaultName);
        if (name is null)
            reader.Fault("name", "missing: a job needs a name; its model is registered under it");
        else if (!JobId.IsValid(name) || name.Length > MaxNameLength)
            reader.Fault("name", $"'{Shorten(name)}' can't be a name: 1 to {MaxNameLength} letters, digits, '.', '_' and '-', the first a letter or digit");

        var data = ReadData(Required(reader, "data", "where the samples come from (source, target, split, preparation)"), folder);
        var model = ReadModel(Required(reader, "model", "which model is trained (kind and its settings)", "kind"));
        var training = ReadTraining(Section(reader, "training"), data);
        reader.Finish();
        return new JobSpec(name ?? "", data, model, training);
    }

    private static ModelSpec ReadModel(SettingReader reader)
    {
        var kind = reader.Text("kind");
        if (string.IsNullOrWhiteSpace(kind) && reader.Has("kind"))
            reader.Fault("kind", "a model's kind is empty; mlp, cnn and rnn come with the project");
        else if (kind is null)
            reader.Fault("kind", "missing: mlp, cnn, rnn, or a model of your own");
        var section = SectionOrWord(reader, "initialisation", "kind");
        var initialisation = new InitialisationSpec(
            section.Choice("kind", InitialisationKind.Default, JobWords.Initialisations),
            Positive(section, "gain", 1.0, 1000));
        section.Finish();
        return new ModelSpec(kind ?? "", reader.Others("kind", "initialisation"), initialisation);
    }

    // 'optimizer: adam' is short for 'optimizer: {kind: adam}'
    private static SettingReader SectionOrWord(SettingReader reader, string name, string key) =>
        reader.Raw(name) is SettingValue.Scalar { Text.Length: > 0 } word
            ? new SettingReader(new Dictionary<string, SettingValue> { [key] = word }, reader.PathOf(name), reader.Faults)
            : Section(reader, name);

    // where no map stands that is the one fault: what would be missing in it is not reported on top
    private static SettingReader Section(SettingReader reader, string name) => reader.Raw(name) is null or SettingValue.Map ? reader.Section(name) : Muted(reader, name);

    private static SettingReader Muted(SettingReader reader, string name)
    {
        _ = reader.Section(name);
        return new SettingReader(new Dictionary<string, SettingValue>(), reader.PathOf(name), new List<Fault>());
    }

    private static SettingReader Required(SettingReader reader, string name, string what, string? key = null)
    {
        if (reader.Has(name))
            return key is null ? Section(reader, name) : SectionOrWord(reader, name, key);
        reader.Fault(name, $"missing: {what}");
        return Muted(reader, name);
    }

    // a section that is switched off by the word 'none'
    private static SettingReader? SectionOrNone(SettingReader reader, string name) =>
        !reader.Has(name) || reader.Raw(name) is SettingValue.Scalar { Text: "none" } ? null : Section(reader, name);

    private static double Positive(SettingReader reader, string name, double fallback, double most) => Positive(reader, name, most) ?? fallback;

    private static double? Positive(SettingReader reader, string name, double most)
    {
        var value = reader.Number(name, double.MinValue, most);
        if (value is null or > 0)
            return value;
        reader.Fault(name, $"{reader.Text(name)} is out of range: greater than 0");
        return null;
    }

    private static bool HasBearableSize(SettingValue root, ICollection<Fault> faults)
    {
        var left = MaxValues;
        return Walk(root, "", 0);

        bool Walk(SettingValue value, string path, int depth)
        {
            if (--left < 0 || depth > MaxDepth)
            {
                faults.Add(new Fault("", left < 0 ? $"more than {MaxValues} settings" : $"settings are nested deeper than {MaxDepth} levels"));
                return false;
            }
            switch (value)
            {
                case SettingValue.Scalar { Text.Length: > MaxText }:
                    faults.Add(new Fault(path, $"longer than {MaxText} characters"));
                    return false;
                case SettingValue.List list:
                    return list.Items.Select((item, index) => (item, index)).All(pair => Walk(pair.item, $"{path}[{pair.index}]", depth + 1));
                case SettingValue.Map map:
                    return map.Entries.All(entry => Walk(entry.Value, path.Length == 0 ? entry.Key : $"{path}.{entry.Key}", depth + 1));
                default:
                    return true;
            }
        }
    }

    private static string Shorten(string text)
    {
        var shown = new StringBuilder(Math.Min(text.Length, 60));
        foreach (var c in text.Take(60))
            shown.Append(char.IsControl(c) ? '?' : c);
        return text.Length > 60 ? $"{shown}..." : shown.ToString();
    }
}
