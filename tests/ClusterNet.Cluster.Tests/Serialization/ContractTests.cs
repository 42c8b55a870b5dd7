using ClusterNet.Cluster.Serialization;
using Google.Protobuf.Reflection;
using Wire = ClusterNet.Cluster.Serialization.Wire;

namespace ClusterNet.Cluster.Tests.Serialization;

/// <summary>
/// What was stored once can be read for ever: manifests, identifiers and fields are as Contract.txt has them. A line there is never changed or taken away, and a message that stands there gets no
/// new required field, once a version that writes it was released.
/// </summary>
public sealed class ContractTests
{
    private static readonly FileDescriptor[] Files =
    [
        Wire.CommonReflection.Descriptor, Wire.ParametersReflection.Descriptor, Wire.WorkersReflection.Descriptor,
        Wire.TrainingReflection.Descriptor, Wire.ModelsReflection.Descriptor, Wire.ServingReflection.Descriptor, Wire.AccessReflection.Descriptor, Wire.LaneReflection.Descriptor,
    ];

    [Fact]
    public void Nothing_that_was_written_has_changed_its_meaning() => Assert.Equal([], Recorded().Except(Current()));

    [Fact]
    public void Nothing_is_written_that_is_not_recorded() => Assert.True(
        !Current().Except(Recorded()).Any(),
        "append these lines to Serialization/Contract.txt:\n" + string.Join('\n', Current().Except(Recorded())));

    /// <summary>Two that are made at once may leave one by which nothing can be read: so in one of 150 processes where eight threads made one each, and once when a node started.</summary>
    [Fact]
    public void All_files_are_made_before_the_first_message_is_read_each_after_those_that_it_imports()
    {
        var files = typeof(WireDescriptors).Assembly.GetTypes().Where(type => type.Namespace == typeof(Wire.CommonReflection).Namespace && type.Name.EndsWith("Reflection", StringComparison.Ordinal))
            .Select(type => (FileDescriptor)type.GetProperty("Descriptor")!.GetValue(null)!);
        Assert.Equal(files.Select(file => file.Name).Order(StringComparer.Ordinal), WireDescriptors.All.Select(file => file.Name).Order(StringComparer.Ordinal));
        var made = new HashSet<FileDescriptor>();
        foreach (var file in WireDescriptors.All)
        {
            Assert.All(file.Dependencies, dependency => Assert.Contains(dependency, made));
            made.Add(file);
        }
    }

    [Fact]
    public void What_came_later_is_not_required()
    {
        // lines are appended: the first run of a message's lines is its first version, whatever stands further down came later
        var late = new List<string>();
        var known = new HashSet<string>();
        var current = "";
        foreach (var line in Recorded())
        {
            var message = line.StartsWith("field ", StringComparison.Ordinal) ? line.Split(' ')[1] : "";
            var isLate = message.Length > 0 && message != current && !known.Add(message);
            if (isLate && line.Contains(" required ", StringComparison.Ordinal))
                late.Add(line);
            current = isLate ? "" : message;
        }
        Assert.Equal([], late);
    }

    private static List<string> Recorded()
    {
        using var stream = typeof(ContractTests).Assembly.GetManifestResourceStream("Contract.txt")!;
        using var reader = new StreamReader(stream);
        return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)];
    }

    private static IEnumerable<string> Current() =>
        new (int Id, CodecTable Table)[]
        {
            (ParameterSerializer.Id, ParameterSerializer.Table), (WorkerSerializer.Id, WorkerSerializer.Table), (TrainingSerializer.Id, TrainingSerializer.Table),
            (ModelSerializer.Id, ModelSerializer.Table), (ServingSerializer.Id, ServingSerializer.Table), (AccessSerializer.Id, AccessSerializer.Table), (LaneSerializer.Id, LaneSerializer.Table),
        }
        .SelectMany(protocol => protocol.Table.Codecs.Select(codec => $"manifest {protocol.Id} {codec.Manifest} {codec.Type.Name}"))
        .Concat(Files.SelectMany(file => file.MessageTypes).SelectMany(WithNested).SelectMany(message => message.Fields.InFieldNumberOrder()).Select(Line))
        .Concat(Files.SelectMany(file => file.EnumTypes.Concat(file.MessageTypes.SelectMany(WithNested).SelectMany(message => message.EnumTypes)))
            .SelectMany(values => values.Values.Select(value => $"value {values.FullName} {value.Number} {value.Name}")));

    private static IEnumerable<MessageDescriptor> WithNested(MessageDescriptor message) => message.NestedTypes.SelectMany(WithNested).Prepend(message);

    private static string Line(FieldDescriptor field)
    {
        var label = field.IsRepeated ? "repeated" : field.IsRequired ? "required" : "optional";
        var type = field.FieldType switch
        {
            FieldType.Message => field.MessageType.FullName,
            FieldType.Enum => field.EnumType.FullName,
            var scalar => scalar.ToString(),
        };
        return $"field {field.ContainingType.FullName} {field.FieldNumber} {label} {type} {field.Name}";
    }
}
