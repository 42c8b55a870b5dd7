using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Sources;

/// <summary>Reads what a job's data section names.</summary>
internal static class Source
{
    /// <summary>All samples of the source, in its order.</summary>
    /// <exception cref="InputException">it can't be read, or is not what the section says</exception>
    public static Frame Read(DataSpec spec)
    {
        if (DataPipeline.IsBuiltin(spec.Source))
        {
            using var rows = BuiltinSource.Open(spec.Source);
            return CsvSource.Read(rows, spec);
        }
        if (!Path.IsPathRooted(spec.Source))
            throw new InputException("data.source", $"'{spec.Source}' is neither a full path nor builtin:wdbc, builtin:digits or builtin:xor");
        if (!Path.Exists(spec.Source))
            throw SourceFile.Missing(spec.Source);
        switch (spec.Format)
        {
            case DataFormat.Npz:
                return NpzSource.Read(spec);
            case DataFormat.Images:
                return ImageFolderSource.Read(spec);
            default:
                using (var rows = CsvRows.Open(spec.Source, spec.Csv))
                    return CsvSource.Read(rows, spec);
        }
    }
}
