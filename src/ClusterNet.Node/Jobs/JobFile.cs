using System.Text.RegularExpressions;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Node.Jobs;

/// <summary>A job file, read together with what the command line changes in it.</summary>
internal sealed partial class JobFile
{
    private readonly SettingsDocument _document;

    private JobFile(JobSpec spec, SettingsDocument document)
    {
        Spec = spec;
        _document = document;
    }

    /// <summary>The job.</summary>
    public JobSpec Spec { get; }

    /// <summary>Reads a job.</summary>
    /// <param name="path">the file, shown in faults as it is given here</param>
    /// <param name="overrides"><c>path=value</c>, each; an empty value takes the setting back. Later ones win.</param>
    /// <param name="name">replaces the job's name where not null</param>
    /// <param name="isElsewhere">whether the nodes of a cluster read the data, which need not be here</param>
    /// <param name="inspect">finds more faults in a job whose data section is right; asked only where there are faults elsewhere, so that the user learns all at once</param>
    /// <exception cref="InputException">the file can't be read or is not a job's; all faults, each with its line</exception>
    public static JobFile Load(string path, IReadOnlyList<string> overrides, string? name = null, bool isElsewhere = false, Func<JobSpec, IReadOnlyList<Fault>>? inspect = null)
    {
        var document = YamlSettings.Read(SettingsFile.ReadText(path, "job file"), path);
        var faults = new List<Fault>();
        foreach (var text in overrides)
            Override(document, text, faults);
        if (name is not null)
            document.Set(["name"], new SettingValue.Scalar(name), "--name");
        var directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var spec = JobReader.Read(document.Root, directory, isElsewhere, Path.GetFileNameWithoutExtension(path), faults);
        if (inspect is not null && faults.Count > 0 && !faults.Exists(fault => fault.Place is "model" or "model.kind" || fault.Place.StartsWith("data", StringComparison.Ordinal)))
            faults.AddRange(inspect(spec));
        return faults.Count == 0 ? new JobFile(spec, document) : throw new InputException([.. faults.Select(document.Locate).Distinct()]);
    }

    /// <summary>Reads a job that was sent. Its paths are the cluster's affair, so they must be whole.</summary>
    /// <param name="text">YAML</param>
    /// <param name="source">what it is called in faults</param>
    /// <exception cref="InputException">it is not a job's; all faults, each with its line</exception>
    public static JobSpec Parse(string text, string source)
    {
        var document = YamlSettings.Read(text, source);
        var faults = new List<Fault>();
        if (document.Root.Entries.GetValueOrDefault("data") is SettingValue.Map data && data.Entries.GetValueOrDefault("source") is SettingValue.Scalar { Text: { Length: > 0 } path }
            && !path.StartsWith("builtin:", StringComparison.Ordinal) && !Path.IsPathFullyQualified(path))
        {
            faults.Add(new Fault("data.source", $"'{path}' is relative, and a job that is sent has no folder that it could be relative to: give the whole path, as it is on the cluster's nodes"));
        }
        if (!document.Root.Entries.ContainsKey("name"))
            faults.Add(new Fault("name", "missing: a job that is sent has no file to be named after"));
        var spec = JobReader.Read(document.Root, Path.GetPathRoot(Environment.CurrentDirectory)!, isElsewhere: true, "job", faults);
        return faults.Count == 0 ? spec : throw new InputException([.. faults.Select(document.Locate).Distinct()]);
    }

    /// <summary>The same faults, those about settings of this file with their lines.</summary>
    public InputException Locate(InputException error) => new([.. error.Faults.Select(_document.Locate)]);

    private static void Override(SettingsDocument document, string text, List<Fault> faults)
    {
        var place = $"--set {text}";
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        var path = equals <= 0 ? [] : PathPart().Matches(text[..equals]).Select(match => match.Value.TrimStart('.')).ToArray();
        if (path.Length == 0 || SettingsDocument.Join(path) != text[..equals] || path[0].StartsWith('['))
        {
            faults.Add(new Fault(place, "not of the form path=value, such as training.epochs=5, model.hidden=[32,16] or data.preparation[0].scale=255"));
            return;
        }
        try
        {
            var given = text[(equals + 1)..].Trim();
            var value = given.Length == 0 ? null : YamlSettings.ReadValue(given, place);
            // a path on the command line is meant from where the user stands, not from the job file's folder
            if (SettingsDocument.Join(path) == "data.source" && value is SettingValue.Scalar { Text: var source } && !source.StartsWith("builtin:", StringComparison.Ordinal))
                value = new SettingValue.Scalar(Path.GetFullPath(source));
            if (document.Set(path, value, $"--set") is { } obstacle)
                faults.Add(new Fault(place, obstacle));
        }
        catch (InputException error)
        {
            faults.AddRange(error.Faults);
        }
    }

    [GeneratedRegex(@"\G(?:^|\.)[^.\[\]=\s]+|\G\[[0-9]{1,6}\]")]
    private static partial Regex PathPart();
}
