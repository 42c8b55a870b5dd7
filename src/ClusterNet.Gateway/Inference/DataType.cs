namespace ClusterNet.Gateway.Inference;

/// <summary>The data types of the Open Inference Protocol, and BF16, which Triton adds.</summary>
internal enum DataType
{
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    FP16,
    BF16,
    FP32,
    FP64,
    Bytes,
}

/// <summary>Names and sizes of data types.</summary>
internal static class DataTypes
{
    private static readonly string[] _names = [.. Enum.GetNames<DataType>().Select(name => name.ToUpperInvariant())];

    /// <summary>The protocol's name.</summary>
    public static string NameOf(DataType type) => _names[(int)type];

    /// <summary>Bytes of an element; 0 for <see cref="DataType.Bytes"/>, whose elements bring their lengths.</summary>
    public static int SizeOf(DataType type) => type switch
    {
        DataType.Bool or DataType.Int8 or DataType.UInt8 => 1,
        DataType.Int16 or DataType.UInt16 or DataType.FP16 or DataType.BF16 => 2,
        DataType.Int32 or DataType.UInt32 or DataType.FP32 => 4,
        DataType.Int64 or DataType.UInt64 or DataType.FP64 => 8,
        _ => 0,
    };

    /// <summary>The type of a name.</summary>
    /// <exception cref="Cluster.Serving.PredictionException">there is none</exception>
    public static DataType Parse(string name, string place)
    {
        var index = Array.IndexOf(_names, name);
        return index >= 0 ? (DataType)index : throw Refusal.Invalid(place, $"'{Refusal.Shown(name)}' is not one of {string.Join(", ", _names)}");
    }
}
