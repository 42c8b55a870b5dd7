using ClusterNet.Core.Jobs;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlScalar = YamlDotNet.Core.Events.Scalar;

namespace ClusterNet.Node.Output;

/// <summary>Settings as YAML that a job file can hold.</summary>
internal static class SettingsText
{
    /// <summary>A job, all its settings but those that say nothing for its source.</summary>
    public static string Yaml(JobSpec spec) => Yaml(Telling(JobWriter.Write(spec), spec));

    /// <summary>The settings without those that say nothing: empty lists and maps.</summary>
    public static string Yaml(SettingValue.Map settings)
    {
        using var writer = new StringWriter { NewLine = "\n" };
        var emitter = new Emitter(writer, new EmitterSettings(bestIndent: 2, bestWidth: 120, isCanonical: false, maxSimpleKeyLength: 256));
        emitter.Emit(new StreamStart());
        emitter.Emit(new DocumentStart());
        Emit(emitter, settings, isInline: false);
        emitter.Emit(new DocumentEnd(isImplicit: true));
        emitter.Emit(new StreamEnd());
        return writer.ToString();
    }

    // a page that people read leaves out how sources of other formats would be read
    private static SettingValue.Map Telling(SettingValue.Map job, JobSpec spec)
    {
        var others = new List<string>();
        if (spec.Data.Format != DataFormat.Csv)
            others.Add("csv");
        if (spec.Data.Format != DataFormat.Npz)
            others.Add("feature-array");
        if (spec.Data.Format != DataFormat.Images)
            others.Add("images");
        var data = ((SettingValue.Map)job.Entries["data"]).Entries.Where(entry => !others.Contains(entry.Key)).ToDictionary();
        return new SettingValue.Map(job.Entries.ToDictionary(entry => entry.Key, entry => entry.Key == "data" ? new SettingValue.Map(data) : entry.Value));
    }

    private static void Emit(Emitter emitter, SettingValue value, bool isInline)
    {
        switch (value)
        {
            case SettingValue.Scalar scalar:
                emitter.Emit(new YamlScalar(AnchorName.Empty, TagName.Empty, scalar.Text, scalar.Text.Length == 0 ? ScalarStyle.DoubleQuoted : ScalarStyle.Any, true, true));
                break;
            case SettingValue.List list:
                var isFlat = isInline || list.Items.All(item => item is SettingValue.Scalar);
                emitter.Emit(new SequenceStart(AnchorName.Empty, TagName.Empty, true, isFlat ? SequenceStyle.Flow : SequenceStyle.Block));
                foreach (var item in list.Items)
                    Emit(emitter, item, isFlat);
                emitter.Emit(new SequenceEnd());
                break;
            // '- standardize' says it shorter than '- standardize: {}'
            case SettingValue.Map { Entries.Count: 1 } step when IsEmpty(step.Entries.Values.First()):
                emitter.Emit(new YamlScalar(step.Entries.Keys.First()));
                break;
            case SettingValue.Map map:
                emitter.Emit(new MappingStart(AnchorName.Empty, TagName.Empty, true, isInline ? MappingStyle.Flow : MappingStyle.Block));
                foreach (var (name, entry) in map.Entries.Where(entry => !IsEmpty(entry.Value)))
                {
                    emitter.Emit(new YamlScalar(name));
                    Emit(emitter, entry, isInline);
                }
                emitter.Emit(new MappingEnd());
                break;
        }
    }

    private static bool IsEmpty(SettingValue value) => value is SettingValue.List { Items.Count: 0 } || (value is SettingValue.Map map && map.Entries.Values.All(IsEmpty));
}
